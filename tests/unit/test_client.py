from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

import snqd
from snqd.client import AsyncQueue, Queue, connect
from snqd.core.clocks import monotonic_of
from snqd.core.errors import (
    BadName,
    BadPayload,
    ConfigError,
    NoHandler,
    SnqdError,
    StoreCorrupt,
    StoreError,
    StoreUnavailable,
    Unconfirmed,
    UnknownSite,
)
from snqd.core.job import Job
from snqd.sites.live_targets import LiveTargets
from snqd.stores.sqlite.database import QueueDatabase
from tests.unit.dates import START, STEPS, Dates

CONFIG = """
[handlers]
greet = snqd.demo.Greet
[site:alpha]
[site:beta]
handlers.greet = off
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "snq.ini"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def queue(path: Path) -> Iterator[Queue]:
    with connect(path) as queue:
        yield queue


def stored(path: Path) -> list[Any]:
    database = QueueDatabase(path.parent / "state" / "queue.db")
    rows = database.file.open().execute("SELECT id, site, queue, body, due - created FROM job ORDER BY n").fetchall()
    database.close()
    return rows


def test_the_package_hands_on_its_clients() -> None:
    assert snqd.connect is connect
    with pytest.raises(AttributeError, match="no attribute 'disconnect'"):
        snqd.disconnect  # noqa: B018


def test_a_job_is_durable_when_its_id_is_returned(queue: Queue, path: Path) -> None:
    job_id = queue.enqueue("alpha", "greet", {"name": "Ada"})
    assert [row[:4] for row in stored(path)] == [(job_id, "alpha", "greet", b'{"name":"Ada"}')]


def test_id_and_delay_are_the_callers_to_say(queue: Queue, path: Path) -> None:
    assert queue.enqueue("alpha", "greet", None, delay=60, id="order-7") == "order-7"
    ((job_id, _, _, body, waits),) = stored(path)
    assert (job_id, body, waits) == ("order-7", b"null", pytest.approx(60))


@pytest.mark.parametrize("step", STEPS)
def test_a_clock_that_is_set_changes_the_dates_of_later_jobs_alone(path: Path, step: float) -> None:
    steady = Clock()
    dates = Dates(steady)
    with Queue(LiveTargets(path, monotonic_of(steady)), dates) as queue:
        queue.enqueue("alpha", "greet", 1, delay=60)
        dates.step(step)
        queue.enqueue("alpha", "greet", 2, delay=60)
        path.write_text(CONFIG + "[site:gamma]\n")
        queue.enqueue("gamma", "greet", 3)  # a site that has come is noticed
    database = QueueDatabase(path.parent / "state" / "queue.db")
    rows = database.file.open().execute("SELECT created, due FROM job ORDER BY n").fetchall()
    database.close()
    assert rows == [(START, START + 60), (START + step, START + step + 60), (START + step, 0)]


def test_many_are_accepted_all_or_none(queue: Queue, path: Path) -> None:
    ids = queue.enqueue_many(("alpha", "greet", number) for number in range(3))
    assert [row[0] for row in stored(path)] == ids
    with pytest.raises(UnknownSite):
        queue.enqueue_many([("alpha", "greet", 1), ("gamma", "greet", 2)])
    assert len(stored(path)) == 3
    assert queue.enqueue_many([]) == []


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("gamma", "greet", 1), UnknownSite),
        (("alpha", "gret", 1), NoHandler),
        (("beta", "greet", 1), NoHandler),
        (("a/b", "greet", 1), BadName),
        (("alpha", "greet", math.nan), BadPayload),
        (("alpha", "greet", 1, 0.0, "no id!"), BadName),
        (("alpha", "greet", 1, -1.0), ValueError),
        (("alpha", "greet", 1, math.inf), ValueError),
    ],
)
def test_what_could_never_be_handled_is_refused(
    queue: Queue, path: Path, arguments: tuple[Any, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        queue.enqueue(*arguments)
    assert not (path.parent / "state").exists()


def test_a_wrong_configuration_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.ini"):
        connect(tmp_path / "none.ini")


def test_a_damaged_store_is_told(queue: Queue, path: Path) -> None:
    (path.parent / "state").mkdir()
    (path.parent / "state" / "queue.db").write_bytes(b"no database" * 500)
    with pytest.raises(StoreCorrupt):
        queue.enqueue("alpha", "greet", 1)


def test_threads_share_a_queue(queue: Queue, path: Path) -> None:
    def work() -> None:
        for number in range(20):
            queue.enqueue("alpha", "greet", number)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({row[0] for row in stored(path)}) == 80


def test_a_closed_queue_opens_again(queue: Queue, path: Path) -> None:
    queue.enqueue("alpha", "greet", 1)
    queue.close()
    queue.enqueue("alpha", "greet", 2)
    assert len(stored(path)) == 2


def test_a_forked_process_has_ids_and_a_connection_of_its_own(
    queue: Queue, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = queue.enqueue("alpha", "greet", 1)
    monkeypatch.setattr(os, "getpid", lambda: 1)
    second = queue.enqueue("alpha", "greet", 2)
    assert first.rpartition("-")[0] != second.rpartition("-")[0]
    assert [row[0] for row in stored(path)] == [first, second]


def test_a_forked_process_looks_at_the_files_itself(queue: Queue, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 1)
    path.write_text(CONFIG + "[site:gamma]\n")
    assert queue.enqueue("gamma", "greet", 1)


def test_a_site_and_a_queue_that_came_later_are_found_by_their_first_job(queue: Queue, path: Path) -> None:
    path.write_text(CONFIG.replace("[site:alpha]", "wave = snqd.demo.Greet\n[site:alpha]") + "[site:gamma]\n")
    ids = queue.enqueue_many([("gamma", "greet", 1), ("alpha", "wave", 2)])
    assert [row[0] for row in stored(path)] == ids


def test_a_store_that_is_configured_later_is_for_programs_that_begin_later(queue: Queue, path: Path) -> None:
    path.write_text(CONFIG + "[site:gamma]\n[queue]\ndb = sqlite:///other.db\n")
    job_id = queue.enqueue("gamma", "greet", 1)
    assert [row[0] for row in stored(path)] == [job_id]


def test_a_wrong_file_is_told_with_what_it_hides(queue: Queue, path: Path) -> None:
    path.write_text(CONFIG + "[site:gamma]\nwieght = 2\n")
    with pytest.raises(UnknownSite, match=r"gamma.* do not hold: .*\[site:gamma\] wieght: unknown key"):
        queue.enqueue("gamma", "greet", 1)
    assert queue.enqueue("alpha", "greet", 1)


def test_without_a_queue_there_are_no_delays(path: Path) -> None:
    path.write_text(CONFIG + "[queue]\nenabled = no\n")
    with connect(path) as queue, pytest.raises(SnqdError, match="a delay needs a queue"):
        queue.enqueue("alpha", "greet", 1, delay=5)


class Reactor:
    """Runs threads' calls when it is told to, and knows who wants to be called at its end."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []
        self.came = threading.Condition()
        self.at_shutdown: list[Callable[[], Any]] = []

    def callFromThread(self, function: Callable[..., None], *args: Any) -> None:
        with self.came:
            self.calls.append(lambda: function(*args))
            self.came.notify()

    def addSystemEventTrigger(self, phase: str, event: str, function: Callable[[], Any]) -> None:
        assert (phase, event) == ("before", "shutdown")
        self.at_shutdown.append(function)

    def wait(self, deferred: Deferred[Any]) -> Any:
        found: list[Any] = []
        deferred.addBoth(found.append)
        while not found:
            with self.came:
                assert self.came.wait_for(lambda: self.calls, 10), "nothing came from the thread"
                call = self.calls.pop(0)
            call()
        if isinstance(found[0], Failure):
            found[0].raiseException()
        return found[0]


@pytest.fixture
def reactor() -> Reactor:
    return Reactor()


@pytest.fixture
def async_queue(reactor: Reactor, path: Path) -> Iterator[AsyncQueue]:
    queue = snqd.connect_async(reactor, path)
    yield queue
    reactor.wait(queue.close())


def test_deferreds_fire_when_jobs_are_durable(reactor: Reactor, async_queue: AsyncQueue, path: Path) -> None:
    one, two = async_queue.enqueue("alpha", "greet", 1), async_queue.enqueue("alpha", "greet", 2, id="two")
    many = async_queue.enqueue_many([("alpha", "greet", 3), ("alpha", "greet", 4)])
    ids = [reactor.wait(one), reactor.wait(two), *reactor.wait(many)]
    assert [row[0] for row in stored(path)] == ids
    assert ids[1] == "two"
    assert reactor.wait(async_queue.enqueue_many([])) == []


def test_deferreds_fail_for_what_could_never_be_handled(reactor: Reactor, async_queue: AsyncQueue) -> None:
    with pytest.raises(UnknownSite):
        reactor.wait(async_queue.enqueue("gamma", "greet", 1))


def test_deferreds_wait_for_a_look_at_the_files(reactor: Reactor, async_queue: AsyncQueue, path: Path) -> None:
    path.write_text(CONFIG + "[site:gamma]\n")
    missed = [async_queue.enqueue("gamma", "greet", number) for number in range(2)]
    unknown = async_queue.enqueue("delta", "greet", 3)
    known = async_queue.enqueue("alpha", "greet", 4)
    ids = [reactor.wait(each) for each in (*missed, known)]
    assert {row[0] for row in stored(path)} == set(ids)
    with pytest.raises(UnknownSite):
        reactor.wait(unknown)


def test_what_waits_for_a_look_at_the_end_is_still_enqueued(reactor: Reactor, path: Path) -> None:
    queue = snqd.connect_async(reactor, path)
    path.write_text(CONFIG + "[site:gamma]\n")
    missed = queue.enqueue("gamma", "greet", 1)
    reactor.wait(queue.close())
    assert reactor.wait(missed) == stored(path)[0][0]


def test_deferreds_fail_as_the_store_does(reactor: Reactor, async_queue: AsyncQueue, path: Path) -> None:
    (path.parent / "state").mkdir()
    (path.parent / "state" / "queue.db").write_bytes(b"no database" * 500)
    with pytest.raises(StoreCorrupt):
        reactor.wait(async_queue.enqueue("alpha", "greet", 1))


class Outlet:
    """A store that takes the first call, and fails the next ones as it is told."""

    def __init__(self, fail: Callable[[list[str]], None]) -> None:
        self.fail = fail
        self.calls: list[list[str]] = []

    def put(self, jobs: Sequence[Job]) -> None:
        self.calls.append([job.id for job in jobs])
        if len(self.calls) > 1:
            self.fail(self.calls[-1])

    def close(self) -> None:
        """There is nothing to close."""


def together(reactor: Reactor, queue: AsyncQueue, outlet: Outlet) -> list[Any]:
    """What three callers are told whose jobs went to the store in one call."""
    queue._outlet = outlet  # type: ignore[assignment]
    first = queue.enqueue("alpha", "greet", 0)
    asked = [
        queue.enqueue_many([("alpha", "greet", 1, 0.0, "a1"), ("alpha", "greet", 1, 0.0, "a2")]),
        queue.enqueue("alpha", "greet", 2, id="b"),
        queue.enqueue_many([("alpha", "greet", 3, 0.0, "c1"), ("alpha", "greet", 3, 0.0, "c2")]),
    ]
    reactor.wait(first)
    return [reactor.wait(each.addErrback(lambda failure: failure.value)) for each in asked]


def test_each_caller_is_told_of_its_own_jobs_alone(reactor: Reactor, async_queue: AsyncQueue) -> None:
    def lose(ids: list[str]) -> None:
        raise Unconfirmed("the broker is silent", ["a1", "a2", "c1"], ["b", "c2"])

    sound, lost, partly = together(reactor, async_queue, Outlet(lose))
    assert sound == ["a1", "a2"]
    assert (lost.accepted, lost.unknown) == ([], ["b"])
    assert (partly.accepted, partly.unknown) == (["c1"], ["c2"])
    assert str(partly).startswith("the broker is silent; accepted: 1, not known: 1 ")


def test_a_job_that_no_store_takes_fails_its_own_caller_alone(reactor: Reactor, async_queue: AsyncQueue) -> None:
    def refuse(ids: list[str]) -> None:
        if "b" in ids:
            raise StoreError("b is too large")

    outlet = Outlet(refuse)
    first, refused, last = together(reactor, async_queue, outlet)
    assert (first, str(refused), last) == (["a1", "a2"], "b is too large", ["c1", "c2"])
    assert outlet.calls[1:] == [["a1", "a2", "b", "c1", "c2"], ["a1", "a2"], ["b"], ["c1", "c2"]]


def test_a_store_that_is_away_is_asked_once_for_all_callers(reactor: Reactor, async_queue: AsyncQueue) -> None:
    def be_away(ids: list[str]) -> None:
        raise StoreUnavailable("away")

    outlet = Outlet(be_away)
    assert [str(each) for each in together(reactor, async_queue, outlet)] == ["away"] * 3
    assert len(outlet.calls) == 2


def test_the_reactors_end_closes_the_queue_and_closing_twice_is_fine(
    reactor: Reactor, async_queue: AsyncQueue, path: Path
) -> None:
    job = async_queue.enqueue("alpha", "greet", 1)
    (close,) = reactor.at_shutdown
    reactor.wait(close())
    assert reactor.wait(job) == stored(path)[0][0]
    reactor.wait(async_queue.close())
