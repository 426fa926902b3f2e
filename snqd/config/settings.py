"""Settings: the whole configuration as frozen records, made by :mod:`snqd.config.load` and passed on explicitly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs

from snqd.config.database_url import sqlite_file
from snqd.config.redis_address import RedisAddress
from snqd.config.stomp_servers import StompSettings
from snqd.config.values import SoftLimit
from snqd.core.job import JSON
from snqd.core.retry import RetryPolicy

SQLITE = "sqlite"
SQL = "sql"
"""Kinds of store of subsystem ``db``: a file, or a database on a server."""


@attrs.frozen
class DaemonSettings:
    """``[snqd]``. Durations are seconds.

    :ivar threads: children of the main group, ``auto`` already resolved to the CPUs this process may use.
    :ivar memory_limit_bytes: what one process may have; None is ``auto``: its share of what the daemon may have.
    :ivar log_format: ``text`` or ``json``.
    """

    id: str
    state_dir: Path
    control: Path
    threads: int
    drain_timeout: float
    hang_timeout: float
    respawn_max_delay: float
    memory_limit_bytes: int | None
    log_format: str


@attrs.frozen
class QueueSettings:
    """``[queue]``. Durations are seconds.

    :ivar db: SQLAlchemy's URL of the database of the jobs.
    :ivar redis: None where the subsystem is another.
    :ivar stomp: without servers where the subsystem is another.
    :ivar queue_basename: what the names of this farm begin with in a store that farms share.
    :ivar control_channel: a topic; only brokers need it.
    :ivar control_key_file: what holds the key of signed commands; None where there is none.
    :ivar control_unsigned: whether unsigned commands are obeyed too.
    :ivar breakout: names such as ``main/distrib``, by queue and site, empty for all sites; of subsystem stomp.
    :ivar wire: how own jobs are written on subsystem stomp, of :data:`snqd.config.values.WIRES`.
    :ivar foreign: kinds of queues of other programs that are served too, of :data:`snqd.config.values.FOREIGN`.
    :ivar foreign_claim_age: age of another program's claim from which on its process counts as dead.
    :ivar morgue: SQLAlchemy's URL of the database of the dead letters.
    :ivar dead_letter_dir: None where no files are wanted.
    :ivar softlimit: the memory at which a child is replaced.
    :ivar debug_memory: whether the memory of each child is logged when it changes.
    :ivar monitor: empty, ``udp://host:port`` or an HTTP URL.
    """

    enabled: bool
    subsystem: str
    db: str
    redis: RedisAddress | None
    stomp: StompSettings
    queue_basename: str
    control_channel: str
    control_key_file: Path | None
    control_unsigned: bool
    breakout: Mapping[tuple[str, str], str]
    wire: str
    foreign: tuple[str, ...]
    foreign_claim_age: float
    morgue: str
    dead_letter_dir: Path | None
    spawndelay: float
    softlimit: SoftLimit
    debug_memory: bool
    monitor: str
    concurrency: int
    timeout: float
    lease: float
    retry: RetryPolicy

    @property
    def db_file(self) -> Path | None:
        """The SQLite file behind `db`, None where it is on a server."""
        return sqlite_file(self.db)

    @property
    def kind(self) -> str:
        """The kind of store: the subsystem, where ``db`` is :data:`SQLITE` or :data:`SQL`."""
        if self.subsystem != "db":
            return self.subsystem
        return SQL if self.db_file is None else SQLITE

    @property
    def shared(self) -> bool:
        """Whether daemons of several hosts may work on the store."""
        return self.enabled and self.kind != SQLITE

    @property
    def control_trusted(self) -> bool:
        """Whether any command that comes by way of the store can be obeyed."""
        return self.control_key_file is not None or self.control_unsigned

    @property
    def wire_of_jobs(self) -> str:
        """`wire`, where other programs can read the jobs at all; else JSON."""
        return self.wire if self.enabled and self.subsystem == "stomp" else JSON

    @property
    def morgue_file(self) -> Path | None:
        """The SQLite file behind `morgue`, None where it is on a server."""
        return sqlite_file(self.morgue)


@attrs.frozen
class GroupSettings:
    """One ``[group:NAME]``; `main` always exists.

    :ivar children: how many processes; 0 where other daemons serve the queues, and this one only enqueues for them.
    :ivar queues: what they serve; for main all configured queues that no other group has. In configuration order.
    """

    name: str
    children: int
    queues: tuple[str, ...]
    exclusive: bool = False


@attrs.frozen
class HandlerSettings:
    """One queue's ``[handlers]`` entry and ``[handler:QUEUE]``, also as one site sees it.

    :ivar target: dotted path of a handler class, ``exec: command ...`` or an http(s) URL; entry points are resolved.
    :ivar concurrency: at once in one child; None leaves it to ``[queue] concurrency``.
    :ivar threads: run the handler's blocking code in that many threads; 0 runs it on the reactor.
    :ivar ordered: one job in flight for each site, in order.
    :ivar http_allow: private networks that an http handler may reach, in CIDR form.
    :ivar options: the handler's own keys, as text.
    :ivar where: where the handler is defined, for messages: ``/etc/snq.ini:12: [handlers] thumbnails``.
    :ivar own: the keys that ``[handler:QUEUE]`` itself sets, so that a site's ``queue.KEY`` does not replace them.
    """

    queue: str
    target: str
    timeout: float
    retry: RetryPolicy
    concurrency: int | None = None
    threads: int = 0
    weight: float = 1.0
    ordered: bool = False
    http_allow: tuple[str, ...] = ()
    options: Mapping[str, str] = attrs.field(factory=dict)
    where: str = ""
    own: frozenset[str] = frozenset()


@attrs.frozen
class SiteSettings:
    """One ``[site:NAME]``: only what it says itself; the layering is :class:`snqd.sites.site.Site`'s.

    :ivar nickname: NAME, the site's key.
    :ivar server: host name, the nickname where none is given.
    :ivar name: for people.
    :ivar weight: its share of handler seconds, relative to other sites'.
    :ivar source: the file that defines it.
    :ivar overrides: its ``queue.KEY``, ``handlers.QUEUE``, ``handler:QUEUE.KEY`` and ``app.NAME.KEY`` keys, checked, as
        text; those of a queue that the daemon has switched off are left out.
    """

    nickname: str
    server: str
    name: str
    weight: float
    source: str
    overrides: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Settings:
    """The whole configuration.

    :ivar path: the file named by ``--config``.
    :ivar handlers: by queue.
    :ivar sites: by nickname.
    :ivar apps: ``[app:NAME]`` by NAME: settings of plug-ins, as text.
    """

    path: Path
    daemon: DaemonSettings
    queue: QueueSettings
    groups: Mapping[str, GroupSettings]
    handlers: Mapping[str, HandlerSettings]
    sites: Mapping[str, SiteSettings]
    apps: Mapping[str, Mapping[str, str]]
    _group_of: Mapping[str, GroupSettings] = attrs.field(init=False, eq=False, repr=False)

    @_group_of.default
    def _by_queue(self) -> Mapping[str, GroupSettings]:
        return {queue: group for group in self.groups.values() for queue in group.queues}

    def group_of(self, queue: str) -> GroupSettings | None:
        """The group that serves `queue`, None if no handler is configured for it."""
        return self._group_of.get(queue)
