"""What ``snqctl top`` shows: the document of ``status --json``, sorted, cut to the height of the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from rich.console import Group, RenderableType
from rich.text import Text

from snqd.ops.snqctl_invocation import printable
from snqd.ops.snqctl_tables import child_table, daemon_line, queue_table, site_table

ORDERS = {
    "rate": "r",
    "waiting": "w",
    "running": "u",
    "handled": "h",
    "dead": "d",
    "name": "n",
}
"""What can be sorted by, and the key that asks for it."""
BY_KEY = {key: order for order, key in ORDERS.items()}
_COLUMNS = {"running": "in_flight"}
#: Lines that are no rows: the daemon's, the keys', three headings and the blanks between.
_FRAME = 7
_LEAST_ROWS = 3


@attrs.frozen
class Look:
    """What was found at one moment.

    :ivar document: as ``status --json`` prints it.
    :ivar problems: why some of it is missing.
    """

    document: Mapping[str, Any]
    problems: Sequence[str] = ()


def view(look: Look, order: str, height: int | None) -> RenderableType:
    """The whole screen.

    :param order: one of `ORDERS`.
    :param height: lines that there are; None for no limit.
    """
    document = look.document
    groups = [*document["groups"]]
    children = sum(max(len(group["children"]), 1) for group in groups)
    room = None if height is None else max(height - _FRAME - len(look.problems), 3 * _LEAST_ROWS)
    queues = in_order(document["queues"], "queue", order)
    sites = in_order(document["sites"], "site", order)
    if room is not None:
        shown = max(min(children, room // 3), _LEAST_ROWS)
        groups = _first_children(groups, shown)
        queues = queues[: max((room - min(shown, children)) // 2, room - min(shown, children) - len(sites))]
        sites = sites[: max(room - min(shown, children) - len(queues), _LEAST_ROWS)]
    parts: list[RenderableType] = [Text(printable(problem), style="bold") for problem in look.problems]
    if document["daemon"] is not None:
        parts += [Text(daemon_line(document["daemon"])), child_table(groups), ""]
    parts += [queue_table(queues), "", site_table(sites)]
    return Group(*parts)


def keys_line(order: str) -> Text:
    """Which keys there are, the order in force marked."""
    line = Text("sort by ")
    for name, key in ORDERS.items():
        line.append(f"{key} {name}", style="reverse" if name == order else "")
        line.append("  ")
    line.append("  q quit")
    return line


def in_order(rows: Sequence[Mapping[str, Any]], name: str, order: str) -> list[Mapping[str, Any]]:
    """`rows` by name, or with the most first; what nobody can tell comes last."""
    if order == "name":
        return sorted(rows, key=lambda row: row[name])
    column = _COLUMNS.get(order, order)
    return sorted(rows, key=lambda row: -1 if row[column] is None else row[column], reverse=True)


def _first_children(groups: Sequence[Mapping[str, Any]], room: int) -> list[Mapping[str, Any]]:
    kept: list[Mapping[str, Any]] = []
    for group in groups:
        if room > 0:
            kept.append({**group, "children": group["children"][:room]})
        room -= max(len(group["children"]), 1)
    return kept
