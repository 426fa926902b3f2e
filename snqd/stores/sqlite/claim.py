"""Claims from the embedded queue, in turn among sites, by index seeks alone: their cost does not grow with the backlog.

Each statement here returns one row of JSON. sqlite3 lets go of the interpreter lock around every row that it steps to,
and takes up to the switch interval to get it back from a busy reactor; whole answers cost that once.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping
from typing import Any

import attrs

from snqd.core.job import Job
from snqd.core.tenure import LeaseLost
from snqd.stores.interface import Claim, Claimed, Receipt, Want
from snqd.stores.share_out import FEW_SITES, share_out

READY = "owner = 0 AND due = 0 AND solo = 0"
HELD = "(owner <> 0 OR due <> 0 OR solo <> 0)"
PROMOTED_AT_ONCE = 1000

# What there is to do: whether the owner is still known; the queues that have something ready; the next due time;
# whether suspects wait; what is paused.
_LOOK = f"""
WITH RECURSIVE q(queue) AS (
    SELECT (SELECT queue FROM job INDEXED BY job_ready WHERE {READY} ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (SELECT queue FROM job INDEXED BY job_ready WHERE queue > q.queue AND {READY} ORDER BY queue LIMIT 1)
    FROM q WHERE q.queue IS NOT NULL)
SELECT json_array(
    EXISTS (SELECT 1 FROM owner WHERE n = :me),
    (SELECT json_group_array(queue) FROM q WHERE queue IS NOT NULL),
    (SELECT min(due) FROM job INDEXED BY job_due WHERE due <> 0),
    (SELECT json_group_array(queue) FROM (
        SELECT queue FROM job INDEXED BY job_solo WHERE solo <> 0 GROUP BY queue
        HAVING sum(owner <> 0) = 0 AND sum(due = 0 AND NOT EXISTS (
            SELECT 1 FROM pause WHERE pause.queue IN ('', job.queue) AND pause.site IN ('', job.site))) > 0)),
    (SELECT json_group_array(json_array(queue, site)) FROM pause))
"""

_PROMOTE = f"""
UPDATE job SET due = 0 WHERE n IN (
    SELECT n FROM job INDEXED BY job_due WHERE due <> 0 AND due <= ? ORDER BY due LIMIT {PROMOTED_AT_ONCE})
"""


def _sites_statement(ordered: bool) -> str:
    """The next sites behind `:after` that have ready jobs of `:queue`, each with the keys of its first ones."""
    in_hand = f"""
        AND NOT EXISTS (SELECT 1 FROM job INDEXED BY job_held
            WHERE queue = :queue AND site = s.site AND {HELD} AND (owner <> 0 OR solo <> 0 OR attempt > 1))"""
    return f"""
WITH RECURSIVE s(site) AS (
    SELECT (SELECT site FROM job INDEXED BY job_ready
            WHERE queue = :queue AND site > :after AND {READY} ORDER BY site LIMIT 1)
    UNION ALL
    SELECT (SELECT site FROM job INDEXED BY job_ready
            WHERE queue = :queue AND site > s.site AND {READY} ORDER BY site LIMIT 1)
    FROM s WHERE s.site IS NOT NULL)
SELECT json_group_array(json_array(site, (
    SELECT json_group_array(n) FROM (
        SELECT n FROM job INDEXED BY job_ready WHERE queue = :queue AND site = p.site AND {READY}
        ORDER BY n LIMIT :room))))
FROM (SELECT site FROM s WHERE site IS NOT NULL AND site <= :upto
      AND site NOT IN (SELECT site FROM pause WHERE queue IN ('', :queue))
      {in_hand if ordered else ""} LIMIT :limit) AS p
"""


_SITES = {ordered: _sites_statement(ordered) for ordered in (False, True)}

_MARK = "UPDATE job SET owner = ? WHERE n IN (SELECT value FROM json_each(?))"

_FETCH = """
SELECT CAST(json_group_array(json_array(n, id, site, queue, encoding, created, attempt, solo, reason, plain,
    CASE WHEN plain THEN CAST(body AS TEXT) ELSE hex(body) END)) AS BLOB)
FROM (SELECT *, encoding = 'json' AND instr(CAST(body AS BLOB), x'00') = 0 AS plain
      FROM job WHERE n IN (SELECT value FROM json_each(?)))
"""

_SOLO = """
SELECT n FROM job INDEXED BY job_solo
WHERE solo <> 0 AND owner = 0 AND due = 0 AND queue IN (SELECT value FROM json_each(:queues))
    AND NOT EXISTS (SELECT 1 FROM job INDEXED BY job_solo WHERE solo <> 0 AND owner <> 0
                    AND queue IN (SELECT value FROM json_each(:queues)))
    AND NOT EXISTS (SELECT 1 FROM pause WHERE pause.queue IN ('', job.queue) AND pause.site IN ('', job.site))
ORDER BY n LIMIT 1
"""

LAST = "\U0010ffff"
"""Behind every site's name."""

Offers = list[tuple[str, list[int]]]
"""Sites in their turn, each with the keys of its first jobs."""


@attrs.frozen
class _Look:
    known: bool
    queues: list[str]
    next_due: float | None
    suspects: frozenset[str]
    paused_queues: set[str]

    def claim(self, jobs: list[Claimed], now: float) -> Claim:
        next_due = None if self.next_due is None else max(self.next_due - now, 0.0)
        return Claim(jobs, next_due, self.suspects)


class SqliteFairClaim:
    """Claims for one owner; remembers for each queue the site that was served last, and how many had something.

    Runs inside a write transaction.
    """

    def __init__(self) -> None:
        self._cursors: dict[str, str] = {}
        self._found: dict[str, int] = {}

    def claim(self, connection: sqlite3.Connection, owner: int, wants: Mapping[str, Want], now: float) -> Claim:
        """Take what is wanted.

        :param now: Unix seconds.
        :raises LeaseLost: when `owner` is not registered.
        """
        look = self._look(connection, owner, now)
        keys: list[int] = []
        for queue in look.queues:
            want = wants.get(queue)
            if want is not None and want.room > 0 and queue not in look.paused_queues:
                keys += self._keys(connection, queue, want)
        jobs = _take(connection, owner, keys)
        return look.claim(jobs, now)

    def claim_solo(self, connection: sqlite3.Connection, owner: int, queues: Collection[str], now: float) -> Claim:
        """Take the longest waiting suspect of `queues`, unless one is in hand.

        :raises LeaseLost: when `owner` is not registered.
        """
        look = self._look(connection, owner, now)
        keys = [n for (n,) in connection.execute(_SOLO, {"queues": json.dumps(list(queues))})]
        jobs = _take(connection, owner, keys)
        return look.claim(jobs, now)

    def _look(self, connection: sqlite3.Connection, owner: int, now: float) -> _Look:
        look = _look(connection, owner)
        if not look.known:
            raise LeaseLost
        if look.next_due is not None and look.next_due <= now:
            connection.execute(_PROMOTE, (now,))
            look = _look(connection, owner)
        return look

    def _keys(self, connection: sqlite3.Connection, queue: str, want: Want) -> list[int]:
        taken, offers = self._shares(connection, queue, want)
        self._found[queue] = max(len(offers), 1)
        if taken:
            self._cursors[queue] = [site for site, _ in offers if site in taken][-1]
        return [key for keys in taken.values() for key in keys]

    def _shares(self, connection: sqlite3.Connection, queue: str, want: Want) -> tuple[dict[str, list[int]], Offers]:
        """What to take, and what was to be had.

        A hundred sites that offer a whole claim each would be read in vain: they are asked for a little more than an
        even share, and for more only where that was too little.
        """
        enough = 1 if want.ordered else want.room
        depth = min(enough, 1 + max(-(-want.room // self._found.get(queue, 1)), want.burst))
        while True:
            offers = self._offers(connection, queue, want, depth)
            taken = share_out(want.room, offers, want.held)
            if depth == enough or all(len(keys) < depth for keys in taken.values()):
                return taken, offers
            depth = min(enough, 8 * depth)

    def _offers(self, connection: sqlite3.Connection, queue: str, want: Want, depth: int) -> Offers:
        """What the next sites have, `depth` jobs of each at most: of as few sites as fill the room when each gives
        `want.burst`, or of more where that was too little."""
        walk = _Walk(connection, queue, want.ordered, self._cursors.get(queue, ""), depth)
        most = max(want.room, FEW_SITES)
        walk.go(min(most, max(-(-want.room // want.burst), FEW_SITES)))
        if walk.jobs < want.room:
            walk.go(most - len(walk.offers))
        return walk.offers


class _Walk:
    """A look at what the sites have, from the one behind `cursor` once around, each `depth` jobs at most."""

    def __init__(self, connection: sqlite3.Connection, queue: str, ordered: bool, cursor: str, depth: int) -> None:
        self._connection = connection
        self._statement = _SITES[ordered]
        self._queue = queue
        self._depth = depth
        self._parts = [(cursor, LAST), ("", cursor)] if cursor else [("", LAST)]
        self.offers: Offers = []
        self.jobs = 0

    def go(self, sites: int) -> None:
        """Look at so many more, as far as there are."""
        while sites > 0 and self._parts:
            after, upto = self._parts[0]
            arguments = {"queue": self._queue, "after": after, "upto": upto, "room": self._depth, "limit": sites}
            (text,) = self._connection.execute(self._statement, arguments).fetchone()
            found = json.loads(text)
            self.offers += [(site, keys) for site, keys in found]
            self.jobs += sum(len(keys) for _, keys in found)
            if len(found) < sites:
                del self._parts[0]
            else:
                self._parts[0] = (found[-1][0], upto)
            sites -= len(found)


def _look(connection: sqlite3.Connection, owner: int) -> _Look:
    (text,) = connection.execute(_LOOK, {"me": owner}).fetchone()
    known, queues, next_due, suspects, pauses = json.loads(text)
    paused = {queue for queue, site in pauses if queue and not site}
    return _Look(bool(known), queues, next_due, frozenset(suspects), paused)


def _take(connection: sqlite3.Connection, owner: int, keys: list[int]) -> list[Claimed]:
    if not keys:
        return []
    text = json.dumps(keys)
    connection.execute(_MARK, (owner, text))
    (rows,) = connection.execute(_FETCH, (text,)).fetchone()
    claimed = {row[0]: _claimed(row, owner) for row in json.loads(rows.decode("utf-8", "surrogateescape"))}
    return [claimed[key] for key in keys]


def _claimed(row: list[Any], owner: int) -> Claimed:
    key, job_id, site, queue, encoding, created, attempt, solo, reason, plain, body = row
    data = body.encode("utf-8", "surrogateescape") if plain else bytes.fromhex(body)
    job = Job(job_id, site, queue, data, encoding, created, attempt, 0.0, bool(solo), reason)
    return Claimed(job, Receipt(key, owner))
