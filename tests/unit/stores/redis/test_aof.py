"""Which Redis is asked for a new append-only file, when snqd may write, and who tells of a failure."""

from __future__ import annotations

from typing import Any

import pytest

from snqd.core.errors import StoreError, StoreUnavailable
from snqd.stores.redis.aof import LOOK_EVERY, AofRenewal

STARTED = {"run_id": "this", "aof_enabled": "1", "redis_version": "7.0.15"}
OLDER = {**STARTED, "redis_version": "6.2.14"}
KEY = "{f}:renewed"
REWRITE, LOOK, REMEMBER, WAIT = "BGREWRITEAOF", "INFO", "EVAL", "wait"
IN_PROGRESS = StoreError("Redis at h:1 fails: ERR Background append only file rewriting already in progress")


class Redis:
    """Answers to steps, and remembers what it was asked.

    :param states: what INFO says of the rewrite, one after the other, the last for ever.
    """

    def __init__(self, *states: str, known: str = "earlier", refuses: StoreError | None = None) -> None:
        self.known, self.refuses = known, refuses
        self.states = list(states) or ["scheduled:0 in_progress:1 status:ok"]
        self.asked: list[str] = []

    def meet(self, renewal: AofRenewal, told: dict[str, str]) -> list[str]:
        """What is asked at one new connection."""
        self.asked = []
        steps = renewal.steps(told)
        try:
            step = next(steps)
            while True:
                answer = self.answer(step)
                step = steps.throw(answer) if isinstance(answer, StoreError) else steps.send(answer)
        except StopIteration:
            return self.asked

    def answer(self, step: Any) -> Any:
        self.asked.append(WAIT if isinstance(step, float) else step[0])
        if step == ("GET", KEY):
            return self.known.encode()
        if step == (REWRITE,):
            return self.refuses
        if step == (LOOK, "persistence"):
            return self._info()
        if isinstance(step, tuple):
            self.known = step[-1]
        return None

    def _info(self) -> bytes:
        names = {"scheduled": "aof_rewrite_scheduled", "in_progress": "aof_rewrite_in_progress"}
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        pairs = [pair.split(":") for pair in state.split()]
        return "".join(f"{names.get(n, 'aof_last_bgrewrite_status')}:{v}\r\n" for n, v in pairs).encode()


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def renewal(warnings: list[str]) -> AofRenewal:
    return AofRenewal("{f}:", 1.0, warnings.append)


def test_a_redis_that_started_anew_gets_a_new_file_once(renewal: AofRenewal, warnings: list[str]) -> None:
    redis = Redis()
    assert redis.meet(renewal, STARTED) == ["GET", REWRITE, LOOK, REMEMBER]
    assert redis.meet(renewal, STARTED) == []
    assert redis.meet(AofRenewal("{f}:", 1.0, warnings.append), STARTED) == ["GET"]
    assert redis.meet(renewal, {**STARTED, "run_id": "next"}) == ["GET", REWRITE, LOOK, REMEMBER]
    assert warnings == []


@pytest.mark.parametrize("told", [{**STARTED, "aof_enabled": "0"}, {}], ids=["off", "unknown"])
def test_a_redis_without_such_a_file_is_left_alone(renewal: AofRenewal, told: dict[str, str]) -> None:
    assert Redis().meet(renewal, told) == []


def test_a_rewrite_that_another_process_began_is_as_good(renewal: AofRenewal, warnings: list[str]) -> None:
    assert Redis(refuses=IN_PROGRESS).meet(renewal, STARTED) == ["GET", REWRITE, LOOK, REMEMBER]
    assert warnings == []


def test_a_rewrite_that_waits_for_a_snapshot_is_waited_for_until_it_begins(renewal: AofRenewal) -> None:
    redis = Redis("scheduled:1 in_progress:0", "scheduled:0 in_progress:1")
    assert redis.meet(renewal, STARTED) == ["GET", REWRITE, LOOK, WAIT, LOOK, REMEMBER]


@pytest.mark.parametrize("refuses", [None, IN_PROGRESS], ids=["own", "other's"])
def test_before_redis_7_a_rewrite_is_waited_for_until_it_ends(
    renewal: AofRenewal, warnings: list[str], refuses: StoreError | None
) -> None:
    states = ["scheduled:1 in_progress:0", "scheduled:0 in_progress:1", "scheduled:0 in_progress:0 status:ok"]
    redis = Redis(*states, refuses=refuses)
    assert redis.meet(renewal, OLDER) == ["GET", REWRITE, LOOK, WAIT, LOOK, WAIT, LOOK, REMEMBER]
    assert warnings == []


FAILURES = [
    (Redis("scheduled:1 in_progress:0"), STARTED, "longer than 1 s"),
    (Redis("scheduled:0 in_progress:1"), OLDER, "longer than 1 s"),
    (Redis("scheduled:0 in_progress:0 status:err"), OLDER, "it failed"),
    (Redis(refuses=StoreError("NOPERM no permissions")), STARTED, "NOPERM"),
]


@pytest.mark.parametrize(
    ("redis", "told", "why"), FAILURES, ids=["does not begin", "does not end", "fails", "forbidden"]
)
def test_a_failure_is_told_once_and_work_goes_on(
    renewal: AofRenewal, warnings: list[str], redis: Redis, told: dict[str, str], why: str
) -> None:
    asked = redis.meet(renewal, told)
    assert asked[-1] == REMEMBER
    assert asked.count(WAIT) in (0, round(1.0 / LOOK_EVERY) + 1)
    assert [why in text and "redis-check-aof --fix" in text for text in warnings] == [True]
    assert redis.meet(AofRenewal("{f}:", 1.0, warnings.append), told) == ["GET"]
    assert len(warnings) == 1


def test_a_process_that_tells_nobody_leaves_a_failure_to_one_that_does(
    renewal: AofRenewal, warnings: list[str]
) -> None:
    redis = Redis(refuses=StoreError("NOPERM no permissions"))
    silent = AofRenewal("{f}:", 1.0, None)
    assert redis.meet(silent, STARTED) == ["GET", REWRITE]
    assert redis.meet(silent, STARTED) == []
    assert redis.meet(renewal, STARTED) == ["GET", REWRITE, REMEMBER]
    assert len(warnings) == 1


def test_a_redis_that_can_not_answer_now_is_asked_again(renewal: AofRenewal, warnings: list[str]) -> None:
    redis = Redis(refuses=StoreUnavailable("the connection is lost"))
    with pytest.raises(StoreUnavailable):
        redis.meet(renewal, STARTED)
    redis.refuses = None
    assert redis.meet(renewal, STARTED) == ["GET", REWRITE, LOOK, REMEMBER]
    assert warnings == []


def test_a_redis_that_takes_no_changes_yet_is_not_asked_for_one_file_after_another(renewal: AofRenewal) -> None:
    steps = renewal.steps(STARTED)
    for answer in (None, b"", b"started", b"aof_rewrite_scheduled:0\r\n"):
        step = steps.send(answer)
    assert step[0] == REMEMBER
    with pytest.raises(StoreUnavailable):
        steps.throw(StoreUnavailable("MISCONF"))
    assert Redis().meet(renewal, STARTED) == []
