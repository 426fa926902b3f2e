"""Options of a handler that look like misspelt keys of snqd: an option may have any name, so they are no error."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from snqd.config.problems import nearest
from snqd.config.schema import HANDLER

LIKENESS = 0.8


def near_misses(options: Iterable[str], own: Collection[str]) -> dict[str, str]:
    """What is probably wrong with some of `options`, in words, by their names.

    :param own: those that the handler's class declares; see :class:`~snqd.handlers.queue_handler.QueueHandler`.
    """
    meant = {name: _meant(name) for name in options if name not in own}
    return {
        name: f"is no key of snqd, so it goes to the handler as an option (did you mean {key}?): "
        "correct it, or have the handler's class name it in own_options"
        for name, key in meant.items()
        if key
    }


def _meant(name: str) -> str:
    # Nobody mistypes the first letter: an option `height` is no `weight`.
    return nearest(name, [key for key in HANDLER.by_name if key[0] == name[0].lower()], LIKENESS)
