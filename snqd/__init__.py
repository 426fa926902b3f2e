"""snqd: background jobs of many web sites in one daemon.

The house, in the order of its story. Each room imports only from itself and those above it:

- ``core/`` is pure: ``job.py``, ``names.py``, ``outcome.py``, ``retry.py``, ``fair_turn.py``, ``counters.py``, and
  ``errors.py`` with every error in one tree.
- ``config/`` reads files into frozen settings (``load.py``, ``settings.py``); ``sites/`` layers them per site
  (``site.py``, ``registry.py``).
- ``wire/`` is how payloads are written, ours and PHP's.
- ``stores/`` is what holds the jobs: ``interface.py`` says what a store promises, ``sqlite/`` is the embedded one, and
  ``morgue.py`` is where dead letters lie.
- ``io/`` runs I/O managers in a child, and ``queues/`` holds the one that takes jobs through their handlers:
  ``queue_manager.py``, with ``crash_ledger.py`` for those that do not survive it.
- ``handlers/`` is the code for each queue: ``queue_handler.py`` is what an author derives from.
- ``daemon/`` is the parent that spawns, watches and respawns children, and the child's own main.
- ``ops/`` is for the operator: ``snqctl.py`` and the modules of its commands.
- ``client.py`` is for programs that only enqueue.

Those programs need no more than this::

    from snqd import connect

    queue = connect("etc/snq.ini")
    queue.enqueue("alpha", "thumbnails", {"image": 5})
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snqd.client import connect, connect_async

__all__ = ["connect", "connect_async"]


def __getattr__(name: str) -> object:
    """`connect` and `connect_async`, imported by whoever asks for them: children and handlers need neither."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from snqd import client

    return getattr(client, name)
