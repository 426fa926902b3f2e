"""Numbered calls: gathered, one at a time, repeated under their number until they are answered."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from snqd.core.errors import StoreError, StoreUnavailable
from snqd.stores.redis import numbered_calls
from snqd.stores.redis.errors import RedisConnectionLost
from snqd.stores.redis.numbered_calls import NumberedCalls


@attrs.frozen(eq=False)
class NumberedCall:
    name: str
    size_bytes: int = 1


class Redis:
    """The other end of a series."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.up = True
        self.delay: float | None = None
        self.calls: list[tuple[int, list[str]]] = []
        self.answers: list[tuple[list[str], bytes]] = []
        self.refusals: list[str] = []
        self._reply: Deferred[bytes] = Deferred()
        self.series: NumberedCalls[NumberedCall] = NumberedCalls(
            self.clock, lambda: self.up, self._send, lambda batch, answer: self._take(batch, answer), self._refuse
        )

    async def _send(self, number: int, batch: list[NumberedCall]) -> bytes:
        self.calls.append((number, [each.name for each in batch]))
        self._reply = Deferred()
        return await self._reply

    def _take(self, batch: list[NumberedCall], answer: bytes) -> None:
        self.answers.append(([each.name for each in batch], answer))

    def _refuse(self, batch: list[NumberedCall], error: StoreError) -> float | None:
        self.refusals.append(str(error))
        return self.delay

    def ask(self, *names: str) -> None:
        for name in names:
            self.series.add(NumberedCall(name))
        self.clock.advance(0)

    def answer(self, text: bytes) -> None:
        self._reply.callback(text)

    def fail(self, error: Exception) -> None:
        self._reply.errback(error)


@pytest.fixture
def redis() -> Redis:
    return Redis()


def test_what_one_turn_of_the_reactor_asks_for_goes_with_one_call(redis: Redis) -> None:
    redis.ask("a", "b")
    assert redis.calls == [(1, ["a", "b"])]


def test_what_is_asked_for_during_a_call_goes_with_the_next(redis: Redis) -> None:
    redis.ask("a")
    redis.ask("b")
    redis.ask("c")
    assert redis.calls == [(1, ["a"])]
    redis.answer(b"done")
    assert redis.calls == [(1, ["a"]), (2, ["b", "c"])]
    assert redis.answers == [(["a"], b"done")]


def test_a_call_whose_connection_is_lost_is_repeated_under_its_number_without_newcomers(redis: Redis) -> None:
    redis.ask("a")
    redis.ask("b")
    redis.up = False
    redis.fail(RedisConnectionLost())
    assert len(redis.calls) == 1
    redis.up = True
    redis.series.flush_soon()
    redis.clock.advance(0)
    assert redis.calls[1:] == [(1, ["a"])]
    redis.answer(b"")
    assert redis.calls[2:] == [(2, ["b"])]


def test_nothing_is_called_while_there_is_no_connection(redis: Redis) -> None:
    redis.up = False
    redis.ask("a")
    assert redis.calls == []
    redis.up = True
    redis.series.flush_soon()
    redis.clock.advance(0)
    assert redis.calls == [(1, ["a"])]


def test_a_refused_call_is_made_again_when_its_time_has_come(redis: Redis) -> None:
    redis.delay = 3.0
    redis.ask("a")
    redis.fail(StoreUnavailable("full"))
    redis.ask("b")
    redis.clock.advance(2.9)
    assert redis.calls == [(1, ["a"])]
    redis.clock.advance(0.2)
    assert redis.calls[1:] == [(1, ["a"])]
    assert redis.refusals == ["full"]


def test_a_call_that_is_not_to_be_made_again_gives_way_to_the_next(redis: Redis) -> None:
    redis.ask("a")
    redis.ask("b")
    redis.fail(StoreError("never"))
    assert redis.calls[1:] == [(2, ["b"])]


def test_a_call_has_a_bounded_number_of_items_and_bytes(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbered_calls, "MAX_ITEMS", 2)
    monkeypatch.setattr(numbered_calls, "MAX_BYTES", 10)
    for item in (NumberedCall("a"), NumberedCall("b"), NumberedCall("c"), NumberedCall("huge", 99), NumberedCall("d")):
        redis.series.add(item)
    redis.clock.advance(0)
    while len(redis.answers) < len(redis.calls):
        redis.answer(b"")
    assert [names for _, names in redis.calls] == [["a", "b"], ["c"], ["huge"], ["d"]]


def test_finishing_waits_for_every_answer(redis: Redis) -> None:
    assert done(redis.series.finish())
    redis.ask("a")
    redis.ask("b")
    finished = redis.series.finish()
    redis.answer(b"")
    assert not finished.called
    redis.answer(b"")
    assert finished.called


def test_clearing_hands_back_what_has_no_answer_and_leaves_no_timer(redis: Redis) -> None:
    redis.delay = 3.0
    redis.ask("a")
    redis.fail(StoreUnavailable("full"))
    redis.ask("b")
    assert [item.name for item in redis.series.clear()] == ["a", "b"]
    assert redis.clock.getDelayedCalls() == []


def done(deferred: Deferred[Any]) -> bool:
    return bool(deferred.called)
