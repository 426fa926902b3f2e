"""The threads of one I/O manager; real ones, whose results the test takes into the reactor's thread by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Queue
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from snqd.core.errors import SnqdError
from snqd.io.threads import MAX_THREADS, ManagerThreads


class Reactor:
    """Keeps what threads want to be called until the test lets it happen."""

    def __init__(self) -> None:
        self._calls: Queue[tuple[Callable[..., Any], tuple[Any, ...]]] = Queue()

    def callFromThread(self, function: Callable[..., Any], *args: Any) -> None:
        self._calls.put((function, args))

    def turn(self) -> None:
        function, args = self._calls.get(timeout=30)
        function(*args)


class Stage:
    def __init__(self) -> None:
        self.reactor = Reactor()
        self.threads = ManagerThreads(self.reactor, "m")

    def ended(self, waiting: Deferred[Any]) -> Any:
        """The result, or the exception, of a call that is under way."""
        results: list[Any] = []
        waiting.addBoth(results.append)
        while not results:
            self.reactor.turn()
        return results[0]


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_call_runs_in_a_thread_of_its_own_and_its_result_comes_back(stage: Stage) -> None:
    def where(word: str) -> tuple[str, str, bool]:
        thread = threading.current_thread()
        return word, thread.name, thread.daemon

    word, name, daemon = stage.ended(stage.threads.call(where, "here"))
    assert (word, daemon) == ("here", True)
    assert "I/O manager m" in name
    stage.threads.close()


def test_an_exception_comes_back(stage: Stage) -> None:
    failure = stage.ended(stage.threads.call(lambda: 1 / 0))
    assert failure.check(ZeroDivisionError)
    stage.threads.close()


def test_no_more_calls_run_at_once_than_there_may_be_threads(stage: Stage) -> None:
    running = threading.Semaphore(0)
    go_on = threading.Event()
    lock = threading.Lock()
    numbers = {"now": 0, "most": 0}

    def work() -> None:
        with lock:
            numbers["now"] += 1
            numbers["most"] = max(numbers.values())
        running.release()
        assert go_on.wait(30)
        with lock:
            numbers["now"] -= 1

    calls = [stage.threads.call(work) for _ in range(3 * MAX_THREADS)]
    for _ in range(MAX_THREADS):
        assert running.acquire(timeout=30)
    idle: list[None] = []
    stage.threads.when_idle().addCallback(idle.append)
    go_on.set()
    for call in calls[:-1]:
        stage.ended(call)
    assert numbers["most"] == MAX_THREADS
    stage.ended(calls[-1])
    assert idle == [None]
    stage.threads.close()


def test_it_is_idle_before_the_first_call(stage: Stage) -> None:
    assert stage.threads.when_idle().called
    stage.threads.close()


def test_a_closed_one_takes_no_calls(stage: Stage) -> None:
    stage.threads.close()
    failures: list[Any] = []
    stage.threads.call(print).addErrback(failures.append)
    assert failures[0].check(SnqdError)
    assert "I/O manager m has stopped" in failures[0].getErrorMessage()


def test_closing_does_not_wait_for_a_call_that_hangs(stage: Stage) -> None:
    go_on = threading.Event()
    hangs = stage.threads.call(go_on.wait, 30)
    stage.threads.close()
    go_on.set()
    assert stage.ended(hangs) is True
