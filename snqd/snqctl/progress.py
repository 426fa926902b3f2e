"""The progress bar of ``snqctl enqueue`` on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, Task, TextColumn, TimeElapsedColumn
from rich.text import Text


class _Rate(TextColumn):
    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:,.0f}/s", style="cyan")


@contextmanager
def progress(
    accepted: Callable[[], int], total: int | None, console: Console | None = None
) -> Iterator[Callable[[], object]]:
    """Shows a bar while the block runs; gives what is to be called whenever `accepted` has grown.

    :param total: how many there will be, None if nobody knows.
    """
    columns = (TextColumn("{task.completed:,.0f} accepted"), BarColumn(), _Rate(), TimeElapsedColumn())
    with Progress(*columns, console=console or Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.update(task, completed=accepted())
