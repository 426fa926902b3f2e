"""Jobs as the scripts take them and hand them out."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from snqd.core.errors import StoreError
from snqd.core.job import Job
from snqd.core.names import check_id, check_queue, check_site
from snqd.stores.interface import Claim, Claimed, Depth, Pauses, Receipt, Want
from snqd.stores.redis.names import place_of
from snqd.stores.share_out import FEW_SITES


def encode(job: Job) -> tuple[str, bytes]:
    """A job's head, which the scripts read, and its record, which they only keep.

    :raises BadName: where its id, site or queue is no name; a blank in one would break the store.
    :raises StoreError: where its times are no times.
    """
    check_id(job.id), check_site(job.site), check_queue(job.queue)
    if not (math.isfinite(job.created) and math.isfinite(job.not_before)):
        raise StoreError(f"job {job.id} of site {job.site}, queue {job.queue}: its times must be finite numbers")
    record = f"{job.id} {job.encoding} {float(job.created)!r}\n".encode() + job.body
    place = place_of(job.queue, job.site)
    if job.attempt == 1 and not (job.not_before or job.solo or job.reason):
        return f'["{place}",{len(record)}]', record
    more = f"[{job.attempt},{int(job.solo)},{json.dumps(job.reason)}]"
    return json.dumps([place, len(record), job.not_before, more]), record


def encode_all(jobs: Iterable[Job]) -> tuple[list[str], list[bytes]]:
    """Heads and records of `jobs`; raises as :func:`encode` does."""
    pairs = [encode(job) for job in jobs]
    return [head for head, _ in pairs], [record for _, record in pairs]


def json_array(texts: Iterable[str]) -> str:
    """A JSON array of what is JSON already."""
    return f"[{','.join(texts)}]"


@attrs.frozen
class ClaimReply:
    """What a script that claims has answered.

    :ivar cursors: by queue the site that was served last.
    :ivar cut: whether there was more than one reply may have, so that the next claim is worth its while.
    """

    claim: Claim
    cursors: dict[str, str]
    cut: bool


def read_claim(reply: bytes, epoch: int) -> ClaimReply:
    """What a claim brought to the process of that epoch."""
    line = reply[: reply.index(b"\n")]
    head = json.loads(line)
    at = len(line) + 1
    jobs = []
    for place, entries in head["shares"]:
        queue, site = place.split(" ")
        for n, length, *more in entries:
            jobs.append(Claimed(_job(site, queue, reply[at : at + length], more), Receipt(n, epoch)))
            at += length
    return ClaimReply(Claim(jobs, head["due"], frozenset(head["suspects"])), head["cursors"], head["cut"])


def _job(site: str, queue: str, record: bytes, more: list[Any]) -> Job:
    head, _, body = record.partition(b"\n")
    job_id, encoding, created = head.decode().split(" ")
    attempt, solo, reason = more or (1, 0, "")
    return Job(job_id, site, queue, body, encoding, float(created), attempt, 0.0, bool(solo), reason)


def read_pauses(reply: bytes) -> Pauses:
    """What is paused."""
    parts = [line.partition(" ")[::2] for line in reply.decode().split("\n") if line]
    return Pauses(
        frozenset(queue for queue, site in parts if not site),
        frozenset(site for queue, site in parts if not queue),
        frozenset((queue, site) for queue, site in parts if queue and site),
    )


class DepthsReader:
    """Puts together what waits, from the pages in which the scripts tell it.

    :param held: the reply of the script `held`.
    """

    def __init__(self, held: bytes) -> None:
        told = json.loads(held)
        self.queues: list[str] = told["queues"]
        self._now = told["now"]
        self._counts: dict[str, list[Any]] = {}
        for index, what in ((1, "delayed"), (2, "busy")):
            for place, number in told[what].items():
                self._of(place)[index] += number
        for place, created in told["solo"]:
            self._wait(place, 1, created)

    def add_page(self, queue: str, reply: bytes) -> str | None:
        """Take in a reply of the script `waiting`; returns the last site in it, None if there is none."""
        rows = json.loads(reply)
        for site, number, created in rows:
            self._wait(place_of(queue, site), number, created)
        return rows[-1][0] if rows else None

    def depths(self) -> list[Depth]:
        """What was told."""
        return [
            Depth(*place.partition(" ")[::2], waiting, delayed, busy, self._age(oldest))
            for place, (waiting, delayed, busy, oldest) in self._counts.items()
        ]

    def _of(self, place: str) -> list[Any]:
        return self._counts.setdefault(place, [0, 0, 0, None])

    def _wait(self, place: str, number: int, created: float | None) -> None:
        counts = self._of(place)
        counts[0] += number
        if created is not None:
            counts[3] = created if counts[3] is None else min(counts[3], created)

    def _age(self, oldest: float | None) -> float | None:
        return None if oldest is None else max(self._now - oldest, 0.0)


def want_rows(wants: Mapping[str, Want], cursors: Mapping[str, str]) -> list[list[Any]]:
    """What the script `claim` is asked for.

    :param cursors: by queue, the site that had the last turn.
    """
    return [
        [queue, want.room, want.ordered, cursors.get(queue, ""), dict(want.held), max(want.room, FEW_SITES)]
        for queue, want in wants.items()
    ]
