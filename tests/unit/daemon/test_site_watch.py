"""When the sites are looked at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from snqd.core.errors import ConfigError
from snqd.daemon.site_watch import APART, LOOK_EVERY, SETTLE, SHARE, SiteWatch


class Reader:
    table = False

    def has_table(self, sources: Any) -> bool:
        return self.table

    def folders(self, sources: Any) -> list[Path]:
        return [Path("/f")]


class Reload:
    """:ivar looks: time, files, afresh of each look."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.reader = Reader()
        self.sources = "sources"
        self.busy = False
        self.looks: list[tuple[float, bool, bool]] = []
        self.answer: Any = None

    def look(self, files: bool, afresh: bool) -> Deferred[Any]:
        self.looks.append((self.clock.seconds(), files, afresh))
        answer = self.answer() if self.answer else None
        return answer if isinstance(answer, Deferred) else succeed(answer)


class Folders:
    works = True

    def __init__(self) -> None:
        self.watched: list[Any] = []

    def watch(self, folders: Any) -> None:
        self.watched.append(folders)


class Watched:
    def __init__(self) -> None:
        self.clock = Clock()
        self.reload = Reload(self.clock)
        self.folders = Folders()
        self.watch = SiteWatch(self.clock, self.reload, self.folders)  # type: ignore[arg-type]
        self.watch.startService()

    def seconds(self, count: float) -> None:
        for _ in range(round(count * 8)):
            self.clock.advance(0.125)

    def times(self) -> list[float]:
        return [round(at, 1) for at, _, _ in self.reload.looks]


@pytest.fixture
def watched() -> Iterator[Watched]:
    made = Watched()
    yield made
    made.watch.stopService()
    assert made.clock.getDelayedCalls() == []


def test_it_looks_soon_after_a_change_once_for_many(watched: Watched) -> None:
    watched.seconds(5)
    for _ in range(10):
        watched.watch.changed()
    watched.seconds(1)
    assert watched.reload.looks == [(pytest.approx(5 + SETTLE, abs=0.1), True, False)]


def test_changes_without_end_are_looked_at_now_and_then(watched: Watched) -> None:
    for _ in range(30):
        watched.watch.changed()
        watched.seconds(0.125)
    assert len(watched.reload.looks) <= 4 / APART + 1
    assert len(watched.reload.looks) >= 4


def test_a_change_during_a_look_is_looked_at_after_it(watched: Watched) -> None:
    looking: Deferred[Any] = Deferred()
    watched.reload.answer = lambda: looking
    watched.watch.changed()
    watched.seconds(1)
    watched.watch.changed()
    watched.seconds(1)
    assert len(watched.reload.looks) == 1
    looking.callback(None)
    watched.seconds(1)
    assert len(watched.reload.looks) == 2


def test_a_missed_site_has_everything_read_afresh(watched: Watched) -> None:
    watched.seconds(5)
    watched.watch.missed()
    watched.seconds(1)
    assert [look[1:] for look in watched.reload.looks] == [(True, True)]


def test_where_the_kernel_tells_it_looks_once_a_minute_besides(watched: Watched) -> None:
    watched.seconds(LOOK_EVERY * 2 + 2)
    assert watched.times() == [LOOK_EVERY, 2 * LOOK_EVERY]


def test_where_the_kernel_does_not_tell_it_looks_every_second(watched: Watched) -> None:
    watched.folders.works = False
    watched.seconds(4)
    assert watched.times() == [1, 2, 3, 4]


def test_looks_that_take_long_are_further_apart(watched: Watched) -> None:
    watched.folders.works = False

    def slow() -> Deferred[Any]:
        looked: Deferred[Any] = Deferred()
        watched.clock.callLater(0.25, looked.callback, None)
        return looked

    watched.reload.answer = slow
    watched.seconds(12)
    (first, *_), (second, *_), *_ = watched.reload.looks
    assert second - first >= 0.25 * SHARE


def test_a_table_is_looked_at_four_times_a_second(watched: Watched) -> None:
    watched.reload.reader.table = True
    watched.seconds(3)
    assert [look[1:] for look in watched.reload.looks] == [(False, False)] * 12


def test_it_does_not_look_while_the_configuration_changes(watched: Watched) -> None:
    watched.reload.reader.table = True
    watched.reload.busy = True
    watched.seconds(3)
    assert watched.reload.looks == []


def test_a_look_that_fails_is_told_once_until_it_succeeds(watched: Watched, logged: list[str]) -> None:
    watched.folders.works = False
    watched.reload.answer = lambda: fail(ConfigError(["d can't be listed"]))
    watched.seconds(3)
    assert [line for line in logged if line.startswith("error")] == [
        "error: the sites stay as they were, since they can't be read: d can't be listed"
    ]
    watched.reload.answer = None
    watched.seconds(1)
    watched.reload.answer = lambda: fail(ConfigError(["d can't be listed"]))
    watched.seconds(1)
    assert len([line for line in logged if line.startswith("error")]) == 2


def test_folders_are_watched_from_the_start_and_again_after_each_look(watched: Watched) -> None:
    assert watched.folders.watched == [[Path("/f")]]
    watched.watch.changed()
    watched.seconds(1)
    assert len(watched.folders.watched) == 2
