"""References in PHP's data: how values are numbered, and what following one may cost; part of :mod:`snqd.wire.php`.

Every value has a number, the outermost 1; keys and ``R:`` references have none. A referred value is part of the result
once more, so a few bytes could unfold into terabytes of JSON or into endless levels: both are measured here, before the
value is handed out.
"""

from __future__ import annotations

from typing import Any

import attrs

from snqd.core.errors import BadPayload
from snqd.core.job import MAX_BODY_BYTES


@attrs.frozen
class Finished:
    """A value that was read to its end.

    :ivar size: its bytes, with the references in it written out.
    :ivar height: how many levels of containers it is, 0 for a scalar.
    """

    value: Any
    size: int
    height: int


class References:
    """The values so far by their numbers.

    :ivar added: bytes that the references so far would add to the data if they were written out.
    :ivar opaque: set behind an object with a format of its own: what it counts is unknown from here.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: list[Finished | None] = []
        self.added = 0
        self.opaque = False

    def append(self, finished: Finished | None) -> int:
        """Give the next number to a value, None for one that has only begun; returns the slot for :meth:`finish`."""
        self._values.append(finished)
        return len(self._values) - 1

    def finish(self, slot: int, finished: Finished) -> None:
        """The container that began in `slot` is complete."""
        self._values[slot] = finished

    def follow(self, number: int, levels: int, pos: int) -> Finished:
        """The value `number`, for a place that still may hold `levels` of containers.

        :param pos: of the reference, for messages.
        :raises BadPayload: if there is none, if it contains the reference, or if the result would be too large or deep.
        """
        finished = self._find(number, pos)
        self.added += finished.size
        if self._size + self.added > MAX_BODY_BYTES:
            raise BadPayload(f"byte {pos}: with its references written out the value has over {MAX_BODY_BYTES} bytes")
        if finished.height > levels:
            raise BadPayload(f"byte {pos}: the reference makes the value nest too deep")
        return finished

    def _find(self, number: int, pos: int) -> Finished:
        if self.opaque:
            raise BadPayload(f"byte {pos}: a reference behind an object with a format of its own can't be followed")
        if not 1 <= number <= len(self._values):
            raise BadPayload(f"byte {pos}: the reference names value {number} of {len(self._values)}")
        finished = self._values[number - 1]
        if finished is None:
            raise BadPayload(f"byte {pos}: the reference names what it is itself a part of; no plain value is a cycle")
        return finished
