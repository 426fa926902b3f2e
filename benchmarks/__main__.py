"""Run measurements and print what they gave: ``python -m benchmarks [NAME...] [--store STORE...] [...]``."""

from __future__ import annotations

import argparse
import compileall
import os
import platform
import signal
import sys
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.table import Table

from benchmarks import chaos, fairness, memory, sites, speed
from benchmarks.farm import CHECKOUT
from benchmarks.figures import Figure, formatted
from benchmarks.places import PLACES, SLOTS, Place

Measurement = Callable[[Place], Iterator[Figure]]

COMPARED: tuple[Measurement, ...] = (speed.noop, speed.waiting, speed.enqueue, speed.latency, fairness.quiet)
OTHERS: tuple[Measurement, ...] = (
    *(speed.backlog, memory.memory, sites.folder, sites.table),
    *(fairness.flood, fairness.hundred, fairness.killer, chaos.chaos),
)
MEASUREMENTS = {measure.__name__: measure for measure in (*COMPARED, *OTHERS)}
COLUMNS = ("ratio", "measured", "", "goal", "beside", "", "what", "note")


def main() -> int:
    """Measure what is named, or what has peers."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends what it has started
    compileall.compile_dir(CHECKOUT / "snqd", quiet=1)  # else every start compiles: the yard's daemons write no .pyc
    console = Console(width=max(Console().width, 170))
    console.print(f"{os.cpu_count()} CPUs, {platform.machine()}, Python {platform.python_version()}")
    for store in list(PLACES) if asked.all else asked.store or ["sqlite"]:
        with PLACES[store]() as place:
            console.print(f"\n[bold]{store}[/bold]: {place.version()}")
            place.slots = asked.slots
            for name in asked.names or [measure.__name__ for measure in COMPARED]:
                _print(console, name, place)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure snqd and what is like it.")
    every = ", ".join(MEASUREMENTS)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: the first five of {every}")
    parser.add_argument("--store", action="append", choices=list(PLACES), help="default: sqlite; may be repeated")
    parser.add_argument("--slots", type=int, default=SLOTS, help="of each child in flood; default: %(default)s")
    parser.add_argument("--all", action="store_true", help="every store")
    asked = parser.parse_args()
    if unknown := [name for name in asked.names if name not in MEASUREMENTS]:
        parser.error(f"no such measurement: {', '.join(unknown)}; there are {every}")
    return asked


def _print(console: Console, name: str, place: Place) -> None:
    measure = MEASUREMENTS[name]
    load = os.getloadavg()[0]
    table = Table(title=f"{name}: {(measure.__doc__ or '').strip()}", title_justify="left", box=None)
    for column in COLUMNS:
        table.add_column(column, justify="right" if column in ("ratio", "measured") else "left")
    for figure in measure(place):
        table.add_row(
            *(figure.ratio, formatted(figure.value), figure.unit, figure.judged),
            *(figure.peer, formatted(figure.peer_value), figure.name, figure.note),
        )
    console.print(table)
    console.print(f"load average before: {load:.1f}, after: {os.getloadavg()[0]:.1f}", style="dim")


if __name__ == "__main__":
    sys.exit(main())
