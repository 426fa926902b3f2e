"""Claims from a database on a server, in turn among sites, beside other processes that claim at the same time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from snqd.core.tenure import LeaseLost
from snqd.stores.interface import Claim, Claimed, Want
from snqd.stores.share_out import FEW_SITES, share_out
from snqd.stores.sql.postgresql import only_share, only_share_arguments
from snqd.stores.sql.statements import Outlook, Statements, Walk


class SqlFairClaim:
    """Claims for one owner; remembers for each queue the site that was served last.

    Runs inside a transaction. What another process is taking at this moment is passed over.
    """

    def __init__(self, statements: Statements) -> None:
        self._statements = statements
        self._cursors: dict[str, str] = {}

    def claim(self, connection: Connection, owner: int, wants: Mapping[str, Want]) -> Claim:
        """Take what is wanted."""
        wants = {queue: want for queue, want in wants.items() if want.room > 0}
        if any(want.ordered for want in wants.values()):
            self._statements.alone(connection)
        outlook = self._outlook(connection, [self._walk(*each) for each in wants.items()])
        jobs: list[Claimed] = []
        for queue, found in outlook.sites.items():
            jobs += self._take(connection, owner, queue, wants[queue], found)
        return _claim(jobs, outlook)

    def ask_at_once(self, wants: Mapping[str, Want]) -> list[str] | None:
        """What the statement `TAKE_ONLY_SHARE` of PostgreSQL's is asked to claim the same; None where it can't."""
        if any(want.ordered for want in wants.values()):
            return None
        return only_share_arguments({queue: want.room for queue, want in wants.items() if want.room > 0})

    def claimed_at_once(self, owner: int, rows: Sequence[Sequence[Any]]) -> Claim | None:
        """What that statement has claimed; None where it is not enough, and took nothing.

        :raises LeaseLost: if the owner is not known any more.
        """
        known, outlook, jobs = only_share(rows, owner)
        if not known:
            raise LeaseLost
        if outlook is None:
            return None
        if jobs:
            self._cursors[jobs[0].job.queue] = jobs[0].job.site
        return _claim(jobs, outlook)

    def claim_solo(self, connection: Connection, owner: int, queues: Collection[str]) -> Claim:
        """Take the longest waiting suspect of `queues`, unless one is in hand."""
        self._statements.alone(connection)
        outlook = self._outlook(connection, [])
        return _claim(self._statements.take_solo(connection, owner, queues), outlook)

    def _outlook(self, connection: Connection, walks: Sequence[Walk]) -> Outlook:
        outlook = self._statements.outlook(connection, walks)
        if outlook.due is not None and outlook.due <= outlook.now:
            self._statements.promote(connection, outlook.now)
            outlook = self._statements.outlook(connection, walks)
        return outlook

    def _walk(self, queue: str, want: Want) -> Walk:
        return Walk(queue, self._cursors.get(queue, ""), max(want.room, FEW_SITES), want.ordered)

    def _take(self, connection: Connection, owner: int, queue: str, want: Want, sites: Sequence[str]) -> list[Claimed]:
        """Take from `sites`, evened out. How many jobs a site has shows when they are taken: what it lacks of its
        quota goes to those that had theirs, in a further round."""
        open_sites, taken = sites, dict[str, list[Claimed]]()
        room = want.room
        while room > 0 and open_sites:
            quotas = self._quotas(room, want, open_sites, taken)
            got = self._statements.take(connection, owner, queue, {site: most for site, most in quotas.items() if most})
            for site, jobs in got.items():
                taken.setdefault(site, []).extend(jobs)
                room -= len(jobs)
            open_sites = [] if want.ordered else [site for site in quotas if len(got.get(site, ())) == quotas[site]]
        if taken:
            self._cursors[queue] = [site for site in sites if site in taken][-1]
        return [job for site in sites for job in taken.get(site, ())]

    def _quotas(
        self, room: int, want: Want, sites: Sequence[str], taken: Mapping[str, Collection[Claimed]]
    ) -> dict[str, int]:
        held = {site: want.held.get(site, 0) + len(taken.get(site, ())) for site in sites}
        most = 1 if want.ordered else room
        shares = share_out(room, [(site, list(range(most))) for site in sites], held)
        return {site: len(shares.get(site, ())) for site in sites}


def _claim(jobs: list[Claimed], outlook: Outlook) -> Claim:
    next_due = None if outlook.due is None else max(outlook.due - outlook.now, 0.0)
    return Claim(jobs, next_due, outlook.suspects)
