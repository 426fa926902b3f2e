"""Run measurements and print what they gave."""

from __future__ import annotations

import os
import platform
import sys

from rich.console import Console
from rich.table import Table

from benchmarks import chaos, fairness, memory, sites, speed
from benchmarks.figures import shown

MEASUREMENTS = {
    each.__name__: each
    for each in (
        speed.noop,
        speed.waiting,
        speed.enqueue,
        speed.latency,
        speed.backlog,
        memory.memory,
        sites.folder,
        sites.table,
        fairness.quiet,
        fairness.hundred,
        fairness.killer,
        chaos.chaos,
    )
}


def main(names: list[str]) -> int:
    """Measure what is named, or everything."""
    unknown = [name for name in names if name not in MEASUREMENTS]
    if unknown:
        print(f"no such measurement: {', '.join(unknown)}; there are {', '.join(MEASUREMENTS)}", file=sys.stderr)
        return 2
    console = Console(width=max(Console().width, 150))
    console.print(f"{os.cpu_count()} CPUs, {platform.machine()}, Python {platform.python_version()}")
    for name in names or MEASUREMENTS:
        measure = MEASUREMENTS[name]
        table = Table(title=f"{name}: {(measure.__doc__ or '').strip()}", title_justify="left", box=None)
        for column in ("ratio", "measured", "", "goal", "beside", "", "what", "note"):
            table.add_column(column, justify="right" if column in ("ratio", "measured") else "left")
        for figure in measure():
            table.add_row(
                *(figure.ratio, shown(figure.value), figure.unit, figure.goal),
                *(figure.peer, shown(figure.peer_value), figure.name, figure.note),
            )
        console.print(table)
    return 0


sys.exit(main(sys.argv[1:]))
