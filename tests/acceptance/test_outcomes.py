"""What becomes of a job, seen from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise

from farm import Farm
from waiting import wait_until


def test_jobs_of_two_sites_are_handled_once_each(farm: Farm) -> None:
    farm.start()
    farm.enqueue("alpha", "note", "--count", 200)
    farm.enqueue("beta", "note", "-", input="null\n" * 200)
    wait_until(lambda: len(farm.journal.handled()) == 400, 30, "400 handled jobs")
    runs = farm.journal.runs("note")
    assert len(runs) == 400
    assert {run.attempt for run in runs} == {1}
    assert sum(run.site == "beta" for run in runs) == 200
    assert len({run.pid for run in runs} - {farm.daemon.pid}) >= 1


def test_what_was_enqueued_without_a_daemon_is_handled_when_it_starts(farm: Farm) -> None:
    farm.enqueue("alpha", "note", "--count", 10)
    farm.start()
    wait_until(lambda: len(farm.journal.handled()) == 10, 30, "10 handled jobs")


def test_a_retry_waits_as_long_as_its_handler_said(farm: Farm) -> None:
    farm.start()
    farm.enqueue("alpha", "later", '{"delay": 0.7, "good": 3}')
    wait_until(farm.journal.handled, 30, "the third attempt")
    runs = farm.journal.runs("later")
    assert [run.attempt for run in runs] == [1, 2, 3]
    assert all(next_run.started - run.started >= 0.7 for run, next_run in pairwise(runs))


def test_a_job_that_fails_too_often_becomes_a_dead_letter(make_farm: Callable[..., Farm]) -> None:
    farm = make_farm(sections={"queue": {"max_retries": 2}})
    farm.start()
    farm.enqueue("alpha", "later", '{"delay": 0.1, "good": 9}')
    (letter,) = wait_until(farm.dead, 30, "a dead letter")
    assert [run.attempt for run in farm.journal.runs()] == [1, 2, 3]
    assert letter["attempts"] == 3
    assert "the mirror is busy" in letter["reason"]


def test_a_rejected_job_can_be_requeued(farm: Farm) -> None:
    farm.start()
    flag = farm.folder / "flag"
    farm.enqueue("alpha", "picky", json.dumps({"unless": str(flag)}))
    (letter,) = wait_until(farm.dead, 30, "a dead letter")
    assert (letter["site"], letter["queue"], letter["attempts"]) == ("alpha", "picky", 1)
    assert letter["reason"] == "no such image"
    assert letter["payload"] == {"unless": str(flag)}

    flag.touch()
    assert farm.snqctl("dead", "requeue", letter["id"]).returncode == 0
    wait_until(farm.journal.handled, 30, "the requeued job")
    assert farm.dead() == []
    assert [(run.job, run.attempt) for run in farm.journal.runs("picky")] == [(letter["id"], 1)] * 2


def test_follow_ups_come_with_the_acknowledgement_and_not_without(farm: Farm) -> None:
    farm.start()
    farm.enqueue("alpha", "chain", '{"notes": 5, "reject": true}')
    wait_until(farm.dead, 30, "the rejected job")
    farm.enqueue("alpha", "chain", '{"notes": 3}')
    wait_until(lambda: len(farm.journal.handled("note")) == 3, 30, "three follow-ups")
    (parent,) = farm.journal.handled("chain")
    assert farm.journal.handled("note") == {f"{parent}.{number}" for number in (1, 2, 3)}
    assert farm.queue("note")["waiting"] == 0


def test_a_payload_of_ten_megabytes_reaches_a_command(make_farm: Callable[..., Farm]) -> None:
    farm = make_farm(handlers={"size": "exec: /bin/sh -c 'wc -c >size-{id}'"})
    farm.start()
    payload = json.dumps("x" * 10_000_000)
    farm.enqueue("alpha", "size", "-", input=payload + "\n")
    wait_until(lambda: farm.queue("size")["handled"] == 1, 60, "the large job")
    (size,) = farm.folder.glob("size-*")
    assert int(size.read_text()) in (len(payload), len(payload) + 1)
