"""What ``snqctl status`` tells: the daemon's answer joined with what waits in the store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from snqd.config.settings import Settings
from snqd.stores.interface import Depth, Pauses

COUNTERS = ("handled", "retried", "dead", "rate")


@attrs.frozen
class StoreReport:
    """What the store told.

    :ivar depths: None where it can't tell.
    """

    depths: Sequence[Depth] | None
    pauses: Pauses


def report(settings: Settings, answer: Mapping[str, Any] | None, backlog: StoreReport | None) -> dict[str, Any]:
    """The document of ``status --json``; a number that nobody can tell is None.

    :param answer: of the daemon's control socket, None if no daemon runs.
    :param backlog: None if the store can't be read.
    """
    tallies = None if answer is None else [_Tally(*row) for row in answer["counters"]]
    depths = None if backlog is None else backlog.depths
    pauses = Pauses() if backlog is None else backlog.pauses
    by_queue = _Table(tallies, depths, "queue")
    by_site = _Table(tallies, depths, "site")
    return {
        "daemon": None if answer is None else answer["daemon"],
        "groups": [] if answer is None else answer["groups"],
        "queues": [
            _queue_row(settings, queue, by_queue.depths(queue), by_queue.tallies(queue), pauses, answer)
            for queue in by_queue.names(settings.handlers)
        ],
        "sites": [
            _site_row(settings, site, by_site.depths(site), by_site.tallies(site), pauses)
            for site in by_site.names(settings.sites)
        ],
    }


@attrs.frozen
class _Tally:
    queue: str
    site: str
    enqueued: int
    handled: int
    retried: int
    dead: int
    in_flight: int
    rate: float


class _Table:
    """Depths and tallies by the queue or the site that they are of: one pass for ten thousand sites."""

    def __init__(self, tallies: Sequence[_Tally] | None, depths: Sequence[Depth] | None, column: str) -> None:
        self._tallies = _grouped(tallies, column)
        self._depths = _grouped(depths, column)

    def tallies(self, name: str) -> list[Any] | None:
        return None if self._tallies is None else self._tallies.get(name, [])

    def depths(self, name: str) -> list[Any] | None:
        return None if self._depths is None else self._depths.get(name, [])

    def names(self, configured: Mapping[str, Any]) -> list[str]:
        """Configured names in their order, then those that only turn up in a store; not "", whose site nobody knows."""
        found = {*(self._tallies or ()), *(self._depths or ())} - {""}
        return [*configured, *sorted(found - set(configured))]


def _grouped(rows: Iterable[Any] | None, column: str) -> dict[str, list[Any]] | None:
    if rows is None:
        return None
    groups: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        groups[getattr(row, column)].append(row)
    return groups


def _queue_row(
    settings: Settings,
    queue: str,
    depths: list[Any] | None,
    tallies: list[Any] | None,
    pauses: Pauses,
    answer: Mapping[str, Any] | None,
) -> dict[str, Any]:
    group = settings.group_of(queue)
    ages = [depth.oldest_age for depth in depths or () if depth.oldest_age is not None]
    return {
        "queue": queue,
        "group": None if group is None else group.name,
        "waiting": _sum(depths, "waiting"),
        "delayed": _sum(depths, "delayed"),
        "oldest_age": max(ages, default=None),
        "in_flight": _in_flight(depths, tallies),
        **{name: _told(answer, name, queue) for name in ("claimed", "unsettled")},
        "enqueued": _enqueued(depths, tallies),
        **{name: _sum(tallies, name) for name in COUNTERS},
        "paused": queue in pauses.queues,
        "paused_sites": sorted(site for paused, site in pauses.shares if paused == queue),
    }


def _site_row(
    settings: Settings, site: str, depths: list[Any] | None, tallies: list[Any] | None, pauses: Pauses
) -> dict[str, Any]:
    return {
        "site": site,
        "configured": site in settings.sites,
        "waiting": _sum(depths, "waiting"),
        "delayed": _sum(depths, "delayed"),
        "in_flight": _in_flight(depths, tallies),
        **{name: _sum(tallies, name) for name in COUNTERS},
        "paused": site in pauses.sites,
        "paused_queues": sorted(queue for queue, paused in pauses.shares if paused == site),
    }


def _enqueued(depths: list[Any] | None, tallies: list[Any] | None) -> int | None:
    """What this daemon has had to do with: what is over, and what is still there.

    Nobody counts a job at its way in: programs of any kind put them into the store.
    """
    if depths is None or tallies is None:
        return None
    over: int = sum(tally.handled + tally.dead for tally in tallies)
    here: int = sum(depth.waiting + depth.delayed + depth.in_flight for depth in depths)
    return over + here


def _told(answer: Mapping[str, Any] | None, name: str, queue: str) -> int | None:
    """A number that only a daemon knows, and not one of an earlier version."""
    return None if answer is None or name not in answer else answer[name].get(queue, 0)


def _in_flight(depths: list[Any] | None, tallies: list[Any] | None) -> Any:
    """What runs, as the daemon says; without one, what a daemon has claimed and not given back."""
    return _sum(depths if tallies is None else tallies, "in_flight")


def _sum(rows: Iterable[Any] | None, name: str) -> Any:
    return None if rows is None else sum(getattr(row, name) for row in rows)


def busiest(rows: Sequence[Mapping[str, Any]], limit: int) -> list[Mapping[str, Any]]:
    """The rows that have something to tell, the most active first, `limit` at most."""
    telling = [
        row for row in rows if any(row[name] for name in row if name not in ("site", "queue", "group", "configured"))
    ]
    return sorted(telling, key=_activity, reverse=True)[:limit]


def _activity(row: Mapping[str, Any]) -> tuple[float, ...]:
    return tuple(row.get(name) or 0 for name in ("rate", "in_flight", "waiting", "delayed", "handled"))
