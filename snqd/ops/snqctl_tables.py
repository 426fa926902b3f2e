"""Tables of snqctl, made to be read in 80 columns."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from snqd.ops.snqctl_invocation import printable
from snqd.ops.snqctl_report import busiest

TOP_SITES = 20


def console() -> Console:
    """Writes to stdout, as wide as that is."""
    return Console(highlight=False)


def table(title: str, columns: Mapping[str, str], rows: Iterable[Sequence[object]]) -> Table:
    """A plain table.

    :param columns: headings and how their cells stand: ``left``, ``right``, or ``fold``, which takes the rest.
    """
    made = Table(
        title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 1)
    )
    for heading, kind in columns.items():
        justify: Any = "right" if kind == "right" else "left"
        made.add_column(heading, justify=justify, overflow="fold", ratio=1 if kind == "fold" else None)
    for row in rows:
        made.add_row(*(Text(cell(value)) for value in row))
    return made


def cell(value: object) -> str:
    """A value as a table shows it."""
    if value is None:
        return "?"
    if isinstance(value, bool):
        return "paused" if value else ""
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return printable(str(value))


def show_status(document: Mapping[str, Any], out: Console) -> None:
    """Print the document of ``status --json`` for people."""
    daemon = document["daemon"]
    if daemon is not None:
        out.print(
            f"daemon {daemon['id']} (pid {daemon['pid']}, snqd {daemon['version']}): {daemon['state']}, "
            f"up {duration(time.time() - daemon['started'])}",
            markup=False,
        )
        out.print(table("", _CHILD_COLUMNS, _children(document["groups"])), "")
    out.print(table("", _QUEUE_COLUMNS, map(_queue, document["queues"])))
    sites = busiest(document["sites"], TOP_SITES)
    if sites:
        out.print("", table("", _SITE_COLUMNS, map(_site, sites)))
    more = len(document["sites"]) - len(sites)
    if more:
        out.print(f"{more:,} more sites, quieter or with nothing to tell: see --json", markup=False)


_CHILD_COLUMNS = {
    "child": "left",
    "state": "left",
    "pid": "right",
    "up": "right",
    "restarts": "right",
    "memory": "right",
    "running": "right",
    "handled": "right",
}


def _children(groups: Iterable[Mapping[str, Any]]) -> Iterable[Sequence[object]]:
    for group in groups:
        if not group["children"]:
            yield (group["name"], group["state"], *[""] * 6)
        for child in group["children"]:
            started, rss = child["started"], child["rss_bytes"]
            yield (
                f"{group['name']}.{child['n']}",
                child["state"] if group["state"] != "failed" else "failed",
                str(child["pid"] or ""),
                "" if started is None else duration(time.time() - started),
                child["restarts"],
                "" if not rss else f"{rss / 1024 / 1024:.0f} MB",
                child["in_flight"],
                child["handled"],
            )


_QUEUE_COLUMNS = {
    "queue": "left",
    "waiting": "right",
    "delayed": "right",
    "oldest": "right",
    "running": "right",
    "handled": "right",
    "retried": "right",
    "dead": "right",
    "rate/s": "right",
    "": "left",
}


def _queue(row: Mapping[str, Any]) -> Sequence[object]:
    age = row["oldest_age"]
    paused = "paused" if row["paused"] else _partly(row["paused_sites"], "site")
    return (
        row["queue"],
        row["waiting"],
        row["delayed"],
        "" if age is None else duration(age),
        row["in_flight"],
        *(row[name] for name in ("handled", "retried", "dead", "rate")),
        paused,
    )


_SITE_COLUMNS = {
    "site": "left",
    "waiting": "right",
    "running": "right",
    "handled": "right",
    "retried": "right",
    "dead": "right",
    "rate/s": "right",
    "": "left",
}


def _site(row: Mapping[str, Any]) -> Sequence[object]:
    paused = "paused" if row["paused"] else _partly(row["paused_queues"], "queue")
    numbers = (row[name] for name in ("waiting", "in_flight", "handled", "retried", "dead", "rate"))
    return (row["site"], *numbers, paused)


def _partly(names: Sequence[str], what: str) -> str:
    if not names:
        return ""
    return f"{names[0]} paused" if len(names) == 1 else f"{len(names)} {what}s paused"


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
