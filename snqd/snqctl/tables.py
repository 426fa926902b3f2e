"""Tables of snqctl, made to be read in 80 columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from snqd.core.clocks import unix_time
from snqd.snqctl.invocation import printable
from snqd.snqctl.report import busiest

TOP_SITES = 20
TABLE_WIDTH = 80
"""Columns that a terminal should have."""


_RATIO = {"fold": 1}


def console() -> Console:
    """Writes to stdout, as wide as that is."""
    return Console(highlight=False)


def table(columns: Mapping[str, str], rows: Iterable[Sequence[object]], cut: bool = False) -> Table:
    """A plain table.

    :param columns: headings and how their cells stand: ``left``, ``right``, ``whole`` (left, never broken, to be
        copied), or ``fold``, which takes the rest.
    :param cut: give each row one line, and cut what is too long for it; else it goes on in the next.
    """
    made = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for heading, kind in columns.items():
        justify: Any = "right" if kind == "right" else "left"
        made.add_column(
            heading, justify=justify, overflow="fold", no_wrap=kind in ("right", "whole"), ratio=_RATIO.get(kind)
        )
    for row in rows:
        made.add_row(*(Text(cell(value), no_wrap=cut, overflow="ellipsis" if cut else None) for value in row))
    return made


def cell(value: object) -> str:
    """A value as a table shows it."""
    if value is None:
        return "?"
    if isinstance(value, bool):
        return "paused" if value else ""
    if isinstance(value, (int, float)):
        return number(value)
    return printable(str(value))


def number(value: int | float) -> str:
    """A number in seven characters or so: from a million on in millions; ``--json`` has it exactly."""
    if value >= 1_000_000:
        return f"{value / 1_000_000:,.1f}M"
    return f"{value:,.1f}" if isinstance(value, float) and value < 100 else f"{value:,.0f}"


def show_status(document: Mapping[str, Any], out: Console) -> None:
    """Print the document of ``status --json`` for people."""
    daemon = document["daemon"]
    if daemon is not None:
        out.print(daemon_line(daemon), markup=False)
        out.print(child_table(document["groups"]))
        for line in [*_what_is_wrong(document["groups"]), *_what_managers_report(document["groups"])]:
            out.print(line, markup=False, soft_wrap=True)
        out.print()
    out.print(queue_table(document["queues"]))
    sites = busiest(document["sites"], TOP_SITES)
    if sites:
        out.print("", site_table(sites))
    more = len(document["sites"]) - len(sites)
    if more:
        sites_more = "1 more site" if more == 1 else f"{more:,} more sites"
        out.print(f"{sites_more}, quieter or with nothing to tell: see --json", markup=False)


def _what_is_wrong(groups: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for group in groups:
        if group.get("reason"):
            yield f"group {group['name']}: {printable(group['reason'])}"
        for child in group["children"]:
            if child.get("trouble"):
                since = duration(unix_time() - child["trouble_since"])
                yield f"{_name(group, child)}: store away for {since}: {printable(child['trouble'])}"


def _what_managers_report(groups: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for group in groups:
        for child in group["children"]:
            for manager, figures in child.get("managers", {}).items():
                shown = ", ".join(f"{name} {_figure(value)}" for name, value in figures.items())
                yield f"{_name(group, child)}: {printable(manager)}: {printable(shown)}"


def _figure(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _name(group: Mapping[str, Any], child: Mapping[str, Any]) -> str:
    return f"{group['name']}.{child['n'] or 'solo'}"


def _state(group: Mapping[str, Any], child: Mapping[str, Any]) -> str:
    if group["state"] == "failed":
        return "failed"
    if child.get("trouble"):
        return "store away"
    held_by = group.get("holder")
    return f"held by {printable(held_by)}" if held_by and child["state"] == "standby" else str(child["state"])


def daemon_line(daemon: Mapping[str, Any]) -> str:
    """Who it is and how it is."""
    return (
        f"daemon {printable(daemon['id'])} (pid {daemon['pid']}, snqd {daemon['version']}): {daemon['state']}, "
        f"up {duration(unix_time() - daemon['started'])}"
    )


def child_table(groups: Iterable[Mapping[str, Any]], cut: bool = False) -> Table:
    """All children of `groups`."""
    return table(_CHILD_COLUMNS, _children(groups), cut)


def queue_table(rows: Iterable[Mapping[str, Any]], cut: bool = False) -> Table:
    """Queues, in the order given."""
    return table(_QUEUE_COLUMNS, map(_queue, rows), cut)


def site_table(rows: Iterable[Mapping[str, Any]], cut: bool = False) -> Table:
    """Sites, in the order given."""
    return table(_SITE_COLUMNS, map(_site, rows), cut)


_CHILD_COLUMNS = {
    "child": "left",
    "state": "left",
    "pid": "right",
    "up": "right",
    "restarts": "right",
    "memory": "right",
    "run+claimed": "right",
    "handled": "right",
    "rate/s": "right",
}


def _children(groups: Iterable[Mapping[str, Any]]) -> Iterable[Sequence[object]]:
    for group in groups:
        if not group["children"]:
            yield (group["name"], group["state"], *[""] * 7)
        for child in group["children"]:
            started, rss = child["started"], child["rss_bytes"]
            yield (
                _name(group, child),
                _state(group, child),
                str(child["pid"] or ""),
                "" if started is None else duration(unix_time() - started),
                child["restarts"],
                "" if not rss else f"{rss / 1024 / 1024:.0f} MB",
                _begun_and_not(child),
                child["handled"],
                child["rate"],
            )


def _begun_and_not(row: Mapping[str, Any]) -> object:
    """What runs and, behind a plus where there is some, what is claimed and has not begun."""
    running, claimed = row["in_flight"], row.get("claimed")
    return f"{cell(running)}+{number(claimed)}" if claimed else running


_QUEUE_COLUMNS = {
    "queue": "left",
    "waiting": "right",
    "delayed": "right",
    "oldest": "right",
    "run+claimed": "right",
    "handled": "right",
    "retried": "right",
    "dead": "right",
    "rate/s": "right",
    "paused": "whole",
}


def _queue(row: Mapping[str, Any]) -> Sequence[object]:
    age = row["oldest_age"]
    return (
        row["queue"],
        row["waiting"],
        row["delayed"],
        "" if age is None else duration(age),
        _begun_and_not(row),
        *(row[name] for name in ("handled", "retried", "dead", "rate")),
        _paused(row["paused"], row["paused_sites"]),
    )


_SITE_COLUMNS = {
    "site": "left",
    "waiting": "right",
    "delayed": "right",
    "running": "right",
    "handled": "right",
    "retried": "right",
    "dead": "right",
    "rate/s": "right",
    "paused": "whole",
}


def _site(row: Mapping[str, Any]) -> Sequence[object]:
    numbers = (row[name] for name in ("waiting", "delayed", "in_flight", "handled", "retried", "dead", "rate"))
    halted = _paused(row["paused"], row["paused_queues"]) if row["configured"] else "unknown"
    return (row["site"], *numbers, halted)


def _paused(whole: bool, parts: Sequence[str]) -> str:
    if whole:
        return "paused"
    return "partly" if parts else ""


def duration(seconds: float) -> str:
    """A time span in its two largest units: ``4s``, ``3m 20s``, ``5h 2m``, ``12d 3h``."""
    whole = max(int(seconds), 0)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60}m"
    return f"{whole // 86400}d {whole % 86400 // 3600}h"


def moment(seconds: float) -> str:
    """A time for people, in the zone that they live in; foreign programs may have written any number."""
    try:
        return datetime.fromtimestamp(seconds).astimezone().isoformat(" ", "seconds")
    except (OverflowError, OSError, ValueError):
        return str(seconds)
