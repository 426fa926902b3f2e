"""Settings: the whole configuration as frozen records, made by :mod:`snqd.config.load` and passed on explicitly.

The keys are :mod:`snqd.config.schema`'s; here stands what is computed from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs

from snqd.config.database_url import sqlite_file
from snqd.config.schema import QUEUE, DaemonKeys, GroupKeys, HandlerKeys, QueueKeys, SiteKeys, SitesKeys
from snqd.config.stomp_servers import StompSettings
from snqd.core.job import JSON
from snqd.core.retry import RetryPolicy

SQLITE = "sqlite"
SQL = "sql"
"""Kinds of store of subsystem ``db``: a file, or a database on a server."""


@attrs.frozen(kw_only=True)
class DaemonSettings(DaemonKeys):
    """``[snqd]``.

    :ivar threads: children of the main group, ``auto`` already resolved to the CPUs this process may use.
    """

    @property
    def memory_limit_bytes(self) -> int | None:
        """What one process may have; None is ``auto``: its share of what the daemon may have."""
        return self.memory_limit


@attrs.frozen(kw_only=True)
class QueueSettings(QueueKeys):
    """``[queue]``.

    :ivar stomp: what `stomp_KEY` say; without servers where the subsystem is another.
    :ivar retry: what the `retry_KEY` and `max_retries` say.
    """

    stomp: StompSettings = attrs.field(init=False, eq=False, repr=False)
    retry: RetryPolicy = attrs.field(init=False, eq=False, repr=False)

    @stomp.default
    def _brokers(self) -> StompSettings:
        return StompSettings(
            servers=self.stomp_server,
            username=self.stomp_username,
            password=self.stomp_password,
            password_file=self.stomp_password_file,
            vhost=self.stomp_vhost,
            management=self.stomp_management,
            manual_failover=self.stomp_manual_failover,
            enqueue_on=self.stomp_enqueue_on,
        )

    @retry.default
    def _policy(self) -> RetryPolicy:
        return RetryPolicy(self.max_retries, self.retry_delay, self.retry_max_delay)

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
class GroupSettings(GroupKeys):
    """One ``[group:NAME]``; `main` always exists.

    :ivar children: how many processes; 0 where other daemons serve the queues, and this one only enqueues for them.
    :ivar queues: what they serve; for main all configured queues that no other group has. In configuration order.
    """

    name: str


@attrs.frozen
class HandlerSettings(HandlerKeys):
    """One queue's ``[handlers]`` entry and ``[handler:QUEUE]``, also as one site sees it.

    :ivar target: dotted path of a handler class, ``exec: command ...`` or an http(s) URL; entry points are resolved.
    :ivar concurrency: at once in one child; None leaves it to ``[queue] concurrency``.
    :ivar options: the handler's own keys, as text.
    :ivar where: where the handler is defined, for messages: ``/etc/snq.ini:12: [handlers] thumbnails``.
    :ivar retry_max_delay: seconds; that of ``[queue]``, or of the site.
    :ivar retry: what the keys about retries say.
    """

    queue: str
    target: str
    options: Mapping[str, str] = attrs.field(factory=dict)
    where: str = ""
    retry_max_delay: float = QUEUE.defaults["retry_max_delay"]
    retry: RetryPolicy = attrs.field(init=False, eq=False, repr=False)

    @retry.default
    def _policy(self) -> RetryPolicy:
        return RetryPolicy(self.max_retries, self.retry_delay, self.retry_max_delay)

    def sets(self, key: str) -> bool:
        """Whether ``[handler:QUEUE]`` itself sets `key`, so that a site's ``queue.KEY`` does not replace it."""
        return self.written.get(key) is not None


@attrs.frozen
class SiteSettings(SiteKeys):
    """One ``[site:NAME]``: only what it says itself; the layering is :class:`snqd.sites.site.Site`'s.

    :ivar nickname: NAME, the site's key.
    :ivar source: the file that defines it.
    :ivar overrides: its ``queue.KEY``, ``handlers.QUEUE``, ``handler:QUEUE.KEY`` and ``app.NAME.KEY`` keys, checked, as
        text; those of a queue that the daemon has switched off are left out.
    """

    nickname: str
    source: str
    overrides: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Settings:
    """The whole configuration.

    :ivar path: the file named by ``--config``.
    :ivar handlers: by queue.
    :ivar sites_from: where sites are defined.
    :ivar sites: by nickname.
    :ivar apps: ``[app:NAME]`` by NAME: settings of plug-ins, as text.
    """

    path: Path
    daemon: DaemonSettings
    queue: QueueSettings
    groups: Mapping[str, GroupSettings]
    handlers: Mapping[str, HandlerSettings]
    sites_from: SitesKeys
    sites: Mapping[str, SiteSettings]
    apps: Mapping[str, Mapping[str, str]]
    _group_of: Mapping[str, GroupSettings] = attrs.field(init=False, eq=False, repr=False)

    @_group_of.default
    def _by_queue(self) -> Mapping[str, GroupSettings]:
        return {queue: group for group in self.groups.values() for queue in group.queues}

    def group_of(self, queue: str) -> GroupSettings | None:
        """The group that serves `queue`, None if no handler is configured for it."""
        return self._group_of.get(queue)
