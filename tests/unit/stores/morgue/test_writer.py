from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from snqd.core.errors import StoreUnavailable
from snqd.stores.morgue.morgue import Letter, SqliteMorgue
from snqd.stores.morgue.writer import MorgueWriter
from snqd.stores.writer_thread import MAX_ITEMS, WriterThread


class OneThread(ThreadPool):
    """A pool whose one thread works when the test says so."""

    def __init__(self) -> None:
        super().__init__(0, 1)
        self.work: list[Callable[[], None]] = []
        self.stopped = False

    def start(self) -> None:
        self.started = True

    def stop(self) -> None:
        self.stopped = True

    def callInThreadWithCallback(self, onResult: Any, function: Any, *args: Any, **kwargs: Any) -> None:
        def work() -> None:
            try:
                result = function(*args, **kwargs)
            except Exception as error:
                onResult(False, Failure(error))
            else:
                onResult(True, result)

        self.work.append(work)

    def turn(self) -> None:
        self.work.pop(0)()


class Reactor:
    """Calls from the thread come in at once."""

    def callFromThread(self, function: Callable[..., None], *args: Any) -> None:
        function(*args)


def outcome(deferred: Deferred[None]) -> list[object]:
    found: list[object] = []
    deferred.addBoth(found.append)
    return found


def writer(written: list[list[int]], pool: OneThread) -> WriterThread[int]:
    def write(items: Sequence[int]) -> None:
        if -1 in items:
            raise StoreUnavailable("disk full")
        written.append(list(items))

    return WriterThread(Reactor(), write, "test", pool=pool)


def test_what_queues_up_during_a_write_goes_with_the_next() -> None:
    pool, written = OneThread(), []
    thread = writer(written, pool)
    first, second, third = (outcome(thread.submit(n)) for n in (1, 2, 3))
    pool.turn()
    assert (first, second, third) == ([None], [], [])
    pool.turn()
    assert (second, third) == ([None], [None])
    assert written == [[1], [2, 3]]
    assert pool.work == []


def test_a_write_takes_no_more_than_its_bound() -> None:
    pool, written = OneThread(), []
    thread = writer(written, pool)
    for n in range(MAX_ITEMS + 2):
        thread.submit(n)
    while pool.work:
        pool.turn()
    assert [len(group) for group in written] == [1, MAX_ITEMS, 1]


def test_a_failed_write_fails_its_own_items_only() -> None:
    pool, written = OneThread(), []
    thread = writer(written, pool)
    bad, good = outcome(thread.submit(-1)), outcome(thread.submit(2))
    pool.turn()
    pool.turn()
    assert [failure.value.args for failure in bad] == [("disk full",)]  # type: ignore[attr-defined]
    assert good == [None]


def test_close_waits_for_what_is_under_way_and_takes_no_more() -> None:
    pool, written = OneThread(), []
    thread = writer(written, pool)
    thread.submit(1)
    thread.submit(2)
    closed = outcome(thread.close())
    with pytest.raises(RuntimeError, match="closed"):
        thread.submit(3)
    pool.turn()
    assert closed == []
    pool.turn()
    assert closed == [None]
    assert written == [[1], [2]]
    assert pool.stopped


def test_close_without_work_starts_no_thread() -> None:
    pool = OneThread()
    assert outcome(writer([], pool).close()) == [None]
    assert not pool.started


def test_the_morgue_is_opened_by_the_first_letter(tmp_path: Path) -> None:
    pool, path = OneThread(), tmp_path / "morgue.db"
    morgue = MorgueWriter(Reactor(), SqliteMorgue(path), tmp_path / "dead", pool)
    assert not path.exists()
    done = outcome(morgue.bury(Letter("1", "alpha", "greet", b"{}")))
    pool.turn()
    assert done == [None]
    assert outcome(morgue.close()) == [None]
    assert [letter.id for letter in SqliteMorgue(path).list()] == ["1"]
    assert (tmp_path / "dead" / "alpha-greet-1").read_bytes() == b"{}"


def test_a_file_that_can_not_be_written_is_logged_and_holds_up_nothing(tmp_path: Path) -> None:
    (tmp_path / "dead").write_text("in the way")
    pool, path = OneThread(), tmp_path / "morgue.db"
    morgue = MorgueWriter(Reactor(), SqliteMorgue(path), tmp_path / "dead", pool)
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    try:
        done = outcome(morgue.bury(Letter("1", "alpha", "greet", b"{}")))
        pool.turn()
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert done == [None]
    assert [(event["log_level"].name, event["job"]) for event in events] == [("error", "1")]
