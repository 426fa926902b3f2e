"""snqd: background jobs of many web sites in one daemon.

The house, in the order of its story. Each room imports only from itself and those above it:

- ``core/`` is pure: ``core/job.py``, ``core/names.py``, ``core/outcome.py``, ``core/retry.py``, ``core/fair_turn.py``,
  ``core/counters.py``, and ``core/errors.py`` with every error in one tree.
- ``config/`` reads files (``config/load.py``) into frozen settings (``config/settings.py``).
- ``sites/`` layers them for each site: ``sites/registry.py``, ``sites/site.py``.
- ``wire/`` is how payloads are written, ours (``wire/payload.py``) and PHP's (``wire/php.py``, ``wire/envelope.py``).
- ``stomp/`` speaks STOMP with message brokers: ``stomp/parser.py``, ``stomp/protocol.py``, ``stomp/connection.py``.
- ``stores/`` is what holds the jobs: ``stores/interface.py`` says what a store promises, ``stores/sqlite/`` is the
  embedded one, ``stores/redis/`` keeps them in Redis, ``stores/sql/`` in a database on a server, ``stores/stomp/`` on
  message brokers, and ``stores/morgue.py`` is where dead letters lie.
- ``io/`` runs I/O managers in a child: ``io/io_master.py``, ``io/io_manager.py``.
- ``handlers/`` is the code for each queue: ``handlers/queue_handler.py`` is what an author derives from.
- ``queues/`` holds the manager that takes jobs through their handlers, ``queues/queue_manager.py``, and
  ``queues/crash_ledger.py`` for the jobs that their process did not survive; ``queues/gnusocial_lists.py`` and
  ``queues/queue_items.py`` take over what GNU social keeps in Redis and in its own databases.
- ``daemon/`` is the parent that spawns, watches and respawns children, ``daemon/queue_daemon.py``, and the children's
  own main, ``daemon/child.py``.
- ``ops/`` is for the operator: the control socket (``ops/control.py``), and ``ops/snqctl.py`` with its commands.
- ``tap.py`` makes the service that twistd runs; ``client.py`` is for programs that only enqueue, ``testing.py`` for
  authors of handlers, ``demo.py`` for who looks for the first time.

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
