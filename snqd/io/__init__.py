"""I/O managers: sources of work within a child. An author of one needs these names alone; see docs/extending.rst.

A context's `enqueue` fails with a :class:`~snqd.core.errors.StoreError` where the same job may be accepted later, and
with another :class:`~snqd.core.errors.SnqdError` where it never is.
"""

from snqd.core.errors import SnqdError, StoreError
from snqd.io.context import IoContext
from snqd.io.interface import IIoManager, Scope
from snqd.io.io_manager import IoManager

__all__ = ["IIoManager", "IoContext", "IoManager", "Scope", "SnqdError", "StoreError"]
