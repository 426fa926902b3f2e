"""Keys, read one by one from a terminal."""

from __future__ import annotations

import os
import select
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

CTRL_C = "\x03"


@contextmanager
def single_keys(descriptor: int) -> Iterator[None]:
    """While it lasts, the terminal gives each key at once and shows none; then it is as it was."""
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor, termios.TCSANOW)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def read_key(descriptor: int, timeout: float) -> str | None:
    """The next key; empty after `timeout` seconds without one, None when there will be no more."""
    if not select.select([descriptor], [], [], timeout)[0]:
        return ""
    data = os.read(descriptor, 64)
    return data.decode("utf-8", "replace")[0] if data else None
