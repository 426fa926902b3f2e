"""Group commit: what is done in one transaction, and what becomes of it when a part of it fails."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from snqd.core.errors import StoreCorrupt, StoreError, StoreUnavailable
from snqd.stores.group_commit import Operation, Writer
from snqd.stores.sqlite.connection import SqliteFile


class Turns(Clock):
    """A reactor whose calls from threads are run by the test."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: SimpleQueue[Callable[[], Any]] = SimpleQueue()

    def callFromThread(self, call: Callable[..., Any], *arguments: Any) -> None:
        self._calls.put(lambda: call(*arguments))

    def until(self, done: Deferred[Any]) -> Any:
        """Run turns until `done` has fired; returns its result, a Failure included."""
        results: list[Any] = []
        done.addBoth(results.append)
        self.advance(0)
        while not results:
            self._calls.get(timeout=60)()
            self.advance(0)
        return results[0]


class Bench:
    def __init__(self, path: Path) -> None:
        self.reactor = Turns()
        self.pending: list[Operation[Any, Any]] = []
        self.batches: list[int] = []
        self.file = SqliteFile(path, "queue", 4711, ("CREATE TABLE note (text TEXT NOT NULL)",))
        self.writer = Writer(self.reactor, self.file, self._gather)

    def do(self, action: Callable[[sqlite3.Connection], Any]) -> Deferred[Any]:
        operation: Operation[Any, Any] = Operation(action, Deferred())
        self.pending.append(operation)
        self.writer.flush_soon()
        return operation.done

    def write(self, text: str | None) -> Deferred[Any]:
        return self.do(lambda connection: connection.execute("INSERT INTO note VALUES (?)", (text,)).rowcount)

    def notes(self) -> list[str]:
        result: list[str] = self.reactor.until(self.do(_notes))
        return result

    def _gather(self) -> list[Operation[Any, Any]]:
        batch, self.pending = self.pending, []
        if batch:
            self.batches.append(len(batch))
        return batch


def _notes(connection: sqlite3.Connection) -> list[str]:
    return [text for (text,) in connection.execute("SELECT text FROM note ORDER BY rowid")]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "notes.db")
    made.reactor.until(made.writer.open())
    yield made
    made.reactor.until(made.writer.close())


def test_what_is_asked_for_in_one_turn_goes_in_one_transaction(bench: Bench) -> None:
    asked = [bench.write(str(number)) for number in range(10)]
    assert [bench.reactor.until(done) for done in asked] == [1] * 10
    assert bench.batches == [10]


def test_what_is_asked_for_during_a_transaction_goes_together_with_the_next(bench: Bench) -> None:
    first = bench.write("first")
    bench.reactor.advance(0)  # it is under way
    later = [bench.write(str(number)) for number in range(5)]
    for done in (first, *later):
        bench.reactor.until(done)
    assert bench.batches == [1, 5]


def test_what_is_alone_can_be_written_before_the_turn_ends_but_joins_what_waits_for_its_end(bench: Bench) -> None:
    bench.batches.clear()
    alone: Deferred[Any] = Deferred()
    bench.pending.append(Operation(lambda connection: "alone", alone))
    bench.writer.write_now()
    assert bench.pending == []
    assert bench.reactor.until(alone) == "alone"
    waits, joins = bench.write("a"), Deferred[Any]()
    bench.pending.append(Operation(lambda connection: "joins", joins))
    bench.writer.write_now()
    assert len(bench.pending) == 2
    assert [bench.reactor.until(done) for done in (waits, joins)] == [1, "joins"]
    assert bench.batches == [1, 2]


def test_one_that_fails_fails_alone(bench: Bench) -> None:
    asked = [bench.write(text) for text in ("a", None, "b")]
    results = [bench.reactor.until(done) for done in asked]
    assert (results[0], results[2]) == (1, 1)
    assert isinstance(results[1], Failure)
    assert results[1].check(StoreError)
    assert bench.notes() == ["a", "b"]


def test_a_store_that_takes_nothing_is_in_trouble_until_it_does(bench: Bench) -> None:
    def refuse(connection: sqlite3.Connection) -> None:
        raise StoreUnavailable("the disk is full")

    bench.reactor.until(bench.do(refuse))
    assert bench.writer.trouble == "the disk is full"
    for done in [bench.do(refuse), bench.write("small")]:
        bench.reactor.until(done)
    assert bench.writer.trouble is None


def test_an_answer_comes_after_the_commit(bench: Bench, tmp_path: Path) -> None:
    bench.reactor.until(bench.write("kept"))
    other = sqlite3.connect(tmp_path / "notes.db")
    assert _notes(other) == ["kept"]
    other.close()


def test_a_bug_in_an_operation_reaches_its_asker_and_the_next_is_done(bench: Bench) -> None:
    result = bench.reactor.until(bench.do(lambda connection: 1 // 0))
    assert result.check(ZeroDivisionError)
    assert bench.reactor.until(bench.write("next")) == 1


def test_closing_writes_what_was_asked_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "notes.db")
    bench.reactor.until(bench.writer.open())
    done = bench.write("last")
    bench.reactor.until(bench.writer.close())
    assert bench.reactor.until(done) == 1


def test_a_file_that_can_not_be_opened_is_told_and_closing_still_works(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("no database")
    bench = Bench(tmp_path / "notes.db")
    assert bench.reactor.until(bench.writer.open()).check(StoreCorrupt)
    assert bench.reactor.until(bench.writer.close()) is None
