"""InThread: how blocking code is kept off the reactor's thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

InThread = Callable[..., "Deferred[Any]"]
"""Calls a function with arguments in a thread; the Deferred fires in the reactor's."""
