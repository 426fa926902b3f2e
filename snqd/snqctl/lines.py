"""Lines of an input that may be endless, slow, or one line of gigabytes: in constant memory, each once it ends."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterator
from typing import BinaryIO

CHUNK_BYTES = 256 * 1024

Read = Callable[[float | None], bytes | None]
"""Takes seconds to wait (None: as long as it takes); gives bytes, nothing at the end, None if none came in time."""


class LineSplitter:
    """Cuts chunks into lines without their line feeds.

    :param limit: bytes; a longer line is dropped as it comes, and given as None.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[bytes | None]:
        """The lines that end in `chunk`; an empty chunk is the end of the input."""
        if not chunk:
            if self._size:
                yield self._finish()
            return
        *ended, begun = chunk.split(b"\n")
        for part in ended:
            self._keep(part)
            yield self._finish()
        self._keep(begun)

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size <= self._limit:
            self._parts.append(part)
        else:
            self._parts.clear()

    def _finish(self) -> bytes | None:
        line = b"".join(self._parts) if self._size <= self._limit else None
        self._parts.clear()
        self._size = 0
        return line


def reader(stream: BinaryIO) -> Read:
    """Reads what is there from a stream; one without a file descriptor is always ready."""
    try:
        descriptor = stream.fileno()
    except OSError:
        return lambda wait: stream.read(CHUNK_BYTES)

    def read(wait: float | None) -> bytes | None:
        if wait is not None and not select.select([descriptor], [], [], wait)[0]:
            return None
        return os.read(descriptor, CHUNK_BYTES)

    return read
