from __future__ import annotations

from collections.abc import Sequence

import pytest
from twisted.internet.task import Clock

from snqd.core.errors import Unconfirmed
from snqd.core.job import Job
from snqd.snqctl.feed import MAX_AGE, MAX_BYTES, MAX_JOBS, MAX_LISTED, Failures, Feed, StoreSink


class Batches:
    def __init__(self) -> None:
        self.accepted = self.unknown = 0
        self.sizes: list[int] = []

    def accept(self, jobs: Sequence[Job]) -> None:
        self.sizes.append(len(jobs))
        self.accepted += len(jobs)


def job(size: int = 1) -> Job:
    return Job("1", "alpha", "greet", b"x" * size)


def test_a_batch_goes_when_it_is_full_by_number() -> None:
    sink, told = Batches(), []
    feed = Feed(sink, lambda: told.append(sink.accepted), Clock().seconds)
    for _ in range(2 * MAX_JOBS + 1):
        feed.add(job())
    assert sink.sizes == [MAX_JOBS, MAX_JOBS]
    feed.flush()
    assert sink.sizes == [MAX_JOBS, MAX_JOBS, 1]
    assert told == [MAX_JOBS, 2 * MAX_JOBS, 2 * MAX_JOBS + 1]


def test_a_batch_goes_when_it_is_full_by_bytes() -> None:
    sink = Batches()
    feed = Feed(sink, clock=Clock().seconds)
    for _ in range(4):
        feed.add(job(MAX_BYTES // 2))
    assert sink.sizes == [2, 2]


def test_no_job_waits_longer_for_others_than_the_first_of_a_batch_may() -> None:
    sink, clock = Batches(), Clock()
    feed = Feed(sink, clock=clock.seconds)
    assert feed.due_in() is None
    feed.add(job())
    clock.advance(MAX_AGE / 2)
    feed.add(job())
    feed.flush_if_due()
    assert feed.due_in() == pytest.approx(MAX_AGE / 2)
    assert sink.sizes == []
    clock.advance(MAX_AGE)
    feed.flush_if_due()
    assert sink.sizes == [2]
    assert feed.due_in() is None


def test_flushing_nothing_commits_nothing() -> None:
    sink = Batches()
    Feed(sink).flush()
    assert sink.sizes == []


def test_failures_are_all_named_and_the_list_is_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    failures = Failures()
    for line in range(1, MAX_LISTED + 3):
        failures.report({"line": line}, "not JSON")
    assert failures.count == MAX_LISTED + 2
    assert len(failures.listed) == MAX_LISTED
    assert failures.listed[0] == {"line": 1, "error": "not JSON"}
    assert capsys.readouterr().err.splitlines()[-1] == f"snqctl: line {MAX_LISTED + 2}: not JSON"


def test_of_a_batch_that_was_not_confirmed_whole_what_was_is_accepted_and_the_rest_is_not_known() -> None:
    class Broker:
        def enqueue(self, jobs: Sequence[Job]) -> None:
            raise Unconfirmed("the broker is silent", ["a"], ["b", "c"])

    sink = StoreSink(Broker())  # type: ignore[arg-type]
    with pytest.raises(Unconfirmed, match=r"is silent; accepted: 1, not known: 2 \(enqueue these again only under the"):
        sink.accept([])
    assert (sink.accepted, sink.unknown) == (1, 2)
