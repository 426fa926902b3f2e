"""``snqctl top``: the status, live in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click
from rich.console import Console
from rich.live import Live

from snqd.core.clocks import monotonic
from snqd.core.errors import SnqdError
from snqd.snqctl.invocation import Invocation
from snqd.snqctl.keys import CTRL_C, read_key, single_keys
from snqd.snqctl.report import StoreReport, report
from snqd.snqctl.status import ask, look
from snqd.snqctl.tables import console
from snqd.snqctl.top_view import BY_KEY, ORDERS, Screen, StatusSnapshot, keys_line, view
from snqd.stores.interface import Pauses

QUIT = ("q", "Q", CTRL_C)
REDRAW_EVERY = 0.5
"""Seconds after which a terminal that was resized is drawn again at the latest."""


@click.command()
@click.option("--sort", "order", type=click.Choice(list(ORDERS)), default="rate", show_default=True, help="By what.")
@click.option("--interval", type=click.FloatRange(0.2, 3600), default=2, show_default=True, help="Seconds of a look.")
@click.pass_obj
def top(invocation: Invocation, order: str, interval: float) -> int:
    """Watch children, queues and sites in the terminal; keys sort, q quits.

    Where standard output is no terminal, prints them once; exit code 1 if no daemon runs.
    """
    out = console()
    if not (out.is_terminal and sys.stdin.isatty()):
        seen = _look(invocation)
        out.print(view(seen, order, None))
        return 0 if seen.document["daemon"] is not None else 1
    try:
        _watch(out, order, interval, lambda: _look(invocation))
    except KeyboardInterrupt:
        return 0  # what a person does who has seen enough
    return 0


def _look(invocation: Invocation) -> StatusSnapshot:
    problems: list[str] = []
    backlog: StoreReport | None = StoreReport([], Pauses())
    answer = None
    try:
        answer = ask(invocation.settings, problems.append)
        backlog = look(invocation, problems.append)
    except SnqdError as error:  # such as a daemon that is too busy to answer: the next look may succeed
        problems.append(str(error))
    return StatusSnapshot(report(invocation.settings, answer, backlog), problems)


def _watch(out: Console, order: str, interval: float, look: Callable[[], StatusSnapshot]) -> None:
    stdin = sys.stdin.fileno()
    with single_keys(stdin), Live(console=out, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            seen, due = look(), monotonic() + interval
            while (wait := due - monotonic()) > 0:
                live.update(Screen(keys_line(order), view(seen, order, out.height)), refresh=True)
                key = read_key(stdin, min(wait, REDRAW_EVERY))
                if key is None or key in QUIT:
                    return
                order = BY_KEY.get(key, order)
