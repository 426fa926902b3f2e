"""snqd: background jobs of many web sites in one daemon.

The house, in the order of its story. Each room imports only from itself and those above it:

- ``core/`` is pure: ``core/job.py``, ``core/names.py``, ``core/outcome.py``, ``core/retry.py``,
  ``core/fair_turn.py``, ``core/counters.py``, ``core/clocks.py``, and ``core/errors.py`` with every error in one tree.
- ``config/`` declares each key once (``config/schema.py``), and reads files (``config/load.py``) into frozen settings
  (``config/settings.py``).
- ``sites/`` layers them for each site: ``sites/registry.py``, ``sites/site.py``; ``sites/live_targets.py`` learns of
  new ones while a program runs.
- ``wire/`` is how payloads are written, ours (``wire/payload.py``) and PHP's (``wire/php.py``, ``wire/envelope.py``).
- ``stomp/`` speaks STOMP with message brokers: ``stomp/parser.py``, ``stomp/protocol.py``, ``stomp/connection.py``.
- ``pipe/`` is what parent and child both speak: ``pipe/commands.py``, ``pipe/child_spec.py``, ``pipe/log_lines.py``,
  and ``pipe/crash_ledger.py`` for the jobs that their process did not survive.
- ``stores/`` holds the jobs: ``stores/interface.py`` says what a store promises, ``stores/subsystem.py`` what its door
  hands out, and ``stores/factory.py`` which door the configuration asks for. ``stores/sqlite/`` is the embedded one,
  ``stores/redis/`` keeps them in Redis, ``stores/sql/`` in a database on a server, ``stores/stomp/`` on message
  brokers; dead letters lie in ``stores/morgue/``.
- ``monitor/`` tells monitors what happens: ``monitor/ping.py``.
- ``io/`` runs I/O managers in a child: ``io/io_master.py``, ``io/io_manager.py``.
- ``handlers/`` is the code for each queue: ``handlers/queue_handler.py`` is what an author derives from.
- ``queues/`` takes jobs through their handlers: ``queues/queue_manager.py``.
- ``gnusocial/`` takes over what GNU social keeps in Redis (``gnusocial/redis_list_manager.py``) and in its own
  databases (``gnusocial/queue_item_manager.py``).
- ``daemon/`` is the parent alone: it spawns, watches, reloads and recovers, ``daemon/queue_daemon.py``.
- ``child/`` is the working process alone: ``child/child.py`` is its main, ``child/assembly.py`` puts it together.
- ``ops/`` is the control socket (``ops/control.py``) and what it commands; ``snqctl/`` is the command line, one file
  a command, ``snqctl/main.py``.
- ``tap.py`` makes the service that twistd runs; ``client.py`` is for programs that only enqueue, ``testing.py`` for
  authors of handlers, ``demo.py`` for a first look.

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
