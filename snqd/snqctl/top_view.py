"""What ``snqctl top`` shows: the document of ``status --json``, sorted, cut to the height of the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

import attrs
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.text import Text

from snqd.snqctl.invocation import printable
from snqd.snqctl.tables import TABLE_WIDTH, child_table, daemon_line, queue_table, site_table

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
#: Lines that are no rows: the daemon's, the keys', three headings, the blanks between, and what is left out.
_FRAME = 8
_LEAST_ROWS = 3
_KINDS = (("child", "children"), ("queue", "queues"), ("site", "sites"))


@attrs.frozen
class StatusSnapshot:
    """What was found at one moment.

    :ivar document: as ``status --json`` prints it.
    :ivar problems: why some of it is missing.
    """

    document: Mapping[str, Any]
    problems: Sequence[str] = ()


class Screen:
    """What stands on the screen of a terminal, which shows the left of it where it is narrower than the tables."""

    def __init__(self, *parts: RenderableType) -> None:
        self._parts = Group(*parts)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Rich's protocol."""
        whole = options.update(width=max(options.max_width, TABLE_WIDTH))
        for line in console.render_lines(self._parts, whole, pad=False):
            yield from Segment.adjust_line_length(line, min(options.max_width, Segment.get_line_length(line)))
            yield Segment.line()


def view(look: StatusSnapshot, order: str, height: int | None) -> RenderableType:
    """The status, without the keys.

    :param order: one of `ORDERS`.
    :param height: lines that there are; None for no limit.
    """
    document = look.document
    all_of = Rows(
        document["groups"], in_order(document["queues"], "queue", order), in_order(document["sites"], "site", order)
    )
    cut = height is not None  # a row is a line, so that the lines can be counted
    problems = [printable(problem) for problem in look.problems]
    if cut:
        problems = [line for problem in problems for line in wrap(problem, TABLE_WIDTH)]
    rows = all_of if height is None else all_of.first(height - _FRAME - len(problems))
    parts: list[RenderableType] = [Text(problem, style="bold") for problem in problems]
    if document["daemon"] is not None:
        parts += [Text(daemon_line(document["daemon"])), child_table(rows.groups, cut), ""]
    parts += [queue_table(rows.queues, cut), "", site_table(rows.sites, cut)]
    left_out = [
        f"{more:,} {one if more == 1 else many}"
        for (one, many), more in zip(_KINDS, all_of.more_than(rows), strict=True)
        if more
    ]
    if left_out:
        parts.append(Text(f"not shown: {', '.join(left_out)}", style="dim"))
    return Group(*parts)


@attrs.frozen
class Rows:
    """What the three tables show."""

    groups: Sequence[Mapping[str, Any]]
    queues: Sequence[Mapping[str, Any]]
    sites: Sequence[Mapping[str, Any]]

    @property
    def children(self) -> int:
        """How many lines the groups take: a group without children has one too."""
        return sum(max(len(group["children"]), 1) for group in self.groups)

    def first(self, lines: int) -> Rows:
        """Those that `lines` have room for, some of each kind."""
        room = max(lines, 3 * _LEAST_ROWS)
        children = max(min(self.children, room // 3), _LEAST_ROWS)
        rest = room - min(children, self.children)
        queues = self.queues[: max(rest // 2, rest - len(self.sites))]
        sites = self.sites[: max(rest - len(queues), _LEAST_ROWS)]
        return Rows(_first_children(self.groups, children), queues, sites)

    def more_than(self, shown: Rows) -> tuple[int, int, int]:
        """How many children, queues and sites `shown` leaves out."""
        return (
            self.children - shown.children,
            len(self.queues) - len(shown.queues),
            len(self.sites) - len(shown.sites),
        )


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
