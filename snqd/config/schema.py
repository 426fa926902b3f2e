"""Every section and key that a configuration may have, declared once: see :mod:`snqd.config.key` for what derives from
it. :mod:`snqd.config.settings` adds the values that are computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs

from snqd.config.database_url import database_url
from snqd.config.key import (
    Key,
    PerSite,
    SectionKeys,
    SectionKind,
    TakesEffect,
    filled_key,
    inherited_key,
    key,
    keys_of,
    optional_key,
)
from snqd.config.redis_address import RedisAddress, redis_address
from snqd.config.stomp_servers import broker, brokers, management_url
from snqd.config.values import (
    WIRES,
    SoftLimit,
    auto_or,
    boolean,
    breakouts,
    choice,
    daemon_id,
    decimal,
    duration,
    foreign_queues,
    integer,
    memory_bytes,
    monitor_target,
    networks,
    one_line,
    path,
    queue_names,
    server_name,
    soft_limit,
    topic,
)

STATE_DIR = "STATE_DIR"
"""Stands for ``[snqd] state_dir`` at the beginning of a path."""

MOST_AT_ONCE = 1000
AT_ONCE = integer(1, MOST_AT_ONCE)
RETRIES = integer(0, 10_000)
PROCESSES = integer(1, 1000)
CHILDREN = integer(0, 1000)
WEIGHT = decimal(0.001, 1000)
SINCE_NOW = duration(0.0)

NOW, RESTART, STOP = TakesEffect.AT_ONCE, TakesEffect.IN_FRESH_CHILDREN, TakesEffect.IN_A_FRESH_DAEMON
# STOP: parent, children and programs that enqueue must agree on it.


@attrs.frozen(kw_only=True, init=False, repr=False, eq=False)
class DaemonKeys(SectionKeys):
    """``[snqd]``. Durations are seconds."""

    id: str = filled_key("", daemon_id, "name of this daemon among others; empty: the host's name", STOP)
    state_dir: Path = key("state", path, "folder of what must survive a restart", STOP)
    control: Path = key("STATE_DIR/control.sock", path, "Unix socket on which snqctl reaches the daemon", STOP)
    threads: int = filled_key(
        "auto", auto_or(PROCESSES), "processes of group main; auto: one for each CPU that it may use", NOW
    )
    drain_timeout: float = key("25", duration(), "seconds that jobs in hand get when a process stops", NOW)
    hang_timeout: float = key("60", duration(), "seconds without a sign of life after which a process is killed", NOW)
    respawn_max_delay: float = key(
        "30", duration(), "longest wait, in seconds, before a process that keeps dying comes back", NOW
    )
    memory_limit: int | None = key(
        "auto", auto_or(memory_bytes), "memory of one process; auto: an equal share for each", NOW
    )
    log_format: str = key("text", choice(text="text", json="json"), "text, or json: one object a line", STOP)


@attrs.frozen
class StorePlace:
    """Where a subsystem finds its store.

    :ivar key: the key of ``[queue]`` that says it.
    :ivar advice: what to do where the key, which has no default, is empty.
    """

    key: str
    advice: str = ""


SUBSYSTEMS: Mapping[str, StorePlace] = {
    "db": StorePlace("db"),
    "redis": StorePlace("redis", "name the Redis, such as redis://127.0.0.1:6379/0"),
    "stomp": StorePlace("stomp_server", "name the broker, such as 127.0.0.1:61613"),
}


@attrs.frozen(kw_only=True, init=False, repr=False, eq=False)
class QueueKeys(SectionKeys):
    """``[queue]``. Durations are seconds; `breakout` has the names by queue and site, empty for all sites."""

    enabled: bool = key("yes", boolean, "no: jobs run at once, in the process that enqueues them", STOP)
    subsystem: str = key(
        "db", choice(**{name: name for name in SUBSYSTEMS}), f"kind of store: {', '.join(SUBSYSTEMS)}", STOP
    )
    db: str = key("sqlite:///STATE_DIR/queue.db", database_url, "database of the jobs", STOP)
    redis: RedisAddress | None = optional_key(redis_address, "the Redis of subsystem redis: its URL", STOP)
    queue_basename: str = key(
        "/queue/snqd.", one_line, "what this farm's names begin with in a store that farms share", STOP
    )
    breakout: Mapping[tuple[str, str], str] = optional_key(
        breakouts, "queues, or one site's shares of them, with a destination of their own", NOW, empty={}
    )
    wire: str = key(
        "json", choice(**{wire: wire for wire in WIRES}), "how own jobs are written: json, php or php-base64", RESTART
    )
    stomp_server: tuple[str, ...] = optional_key(brokers, "the brokers of subsystem stomp", STOP, empty=())
    stomp_username: str = optional_key(one_line, "name to log in with at the brokers", STOP, empty="")
    stomp_password: str = optional_key(one_line, "password that goes with it", STOP, empty="", secret=True)
    stomp_password_file: Path | None = optional_key(path, "file that holds the password instead", STOP)
    stomp_vhost: str = key("/", one_line, "virtual host of the brokers that the farm is on; ActiveMQ has none", STOP)
    stomp_management: str = optional_key(
        management_url,
        "URL of RabbitMQ's management API, which snqctl check asks for limits that drop jobs",
        NOW,
        empty="",
        secret=True,
    )
    stomp_manual_failover: bool = key("yes", boolean, "yes: listen to all brokers; no: to one that is up", STOP)
    stomp_enqueue_on: str = optional_key(
        broker, "the broker that jobs are sent to; empty: one that is up", STOP, empty=""
    )
    control_channel: str = key(
        "/topic/snqd.control", topic, "topic on the brokers by which commands reach all daemons", RESTART
    )
    control_key_file: Path | None = optional_key(
        path, "file with the key that commands to all daemons are signed with", RESTART
    )
    control_unsigned: bool = key("no", boolean, "yes: obey unsigned commands too, such as StatusNet's", RESTART)
    foreign: tuple[str, ...] = optional_key(
        foreign_queues, "queues of other programs to serve too: gnusocial-db, gnusocial-redis", STOP, empty=()
    )
    foreign_claim_age: float = key(
        "3600", duration(1.0), "seconds after which another program's claim counts as stale", RESTART
    )
    morgue: str = key("sqlite:///STATE_DIR/morgue.db", database_url, "database of the dead letters", STOP)
    dead_letter_dir: Path | None = optional_key(path, "folder that gets a file for each dead letter too", RESTART)
    concurrency: int = key("50", AT_ONCE, "jobs at once in one process", NOW)
    timeout: float = key("600", duration(), "seconds after which a job is cancelled and tried again", NOW)
    lease: float = key(
        "60", duration(1.0), "seconds after which the jobs of a process that vanished are taken over", RESTART
    )
    max_retries: int = key("10", RETRIES, "times that a job is tried again", NOW, PerSite.YES)
    retry_delay: float = key(
        "15", SINCE_NOW, "seconds before the first retry; each further one waits twice as long", NOW, PerSite.YES
    )
    retry_max_delay: float = key("3600", SINCE_NOW, "longest wait before a retry, in seconds", NOW, PerSite.YES)
    spawndelay: float = key("1", duration(), "seconds before a process that died is started again", NOW)
    softlimit: SoftLimit = key(
        "90%", soft_limit, "memory at which a process is replaced: a size, or % of memory_limit", NOW
    )
    debug_memory: bool = key("no", boolean, "yes: log the memory of each process when it changes", NOW)
    monitor: str = optional_key(
        monitor_target, "where counters and states are sent: udp://host:port or an HTTP URL", NOW, empty=""
    )


SNQD = SectionKind("snqd", "the daemon itself", keys=keys_of(DaemonKeys))
QUEUE = SectionKind("queue", "the store, and what holds for every queue", keys=keys_of(QueueKeys))


@attrs.frozen(kw_only=True, init=False, repr=False, eq=False)
class GroupKeys(SectionKeys):
    """``[group:NAME]``."""

    children: int = filled_key(
        "", CHILDREN, "how many processes; empty: 1, for main [snqd] threads; 0: others serve the queues", NOW
    )
    queues: tuple[str, ...] = filled_key(
        "", queue_names, "what they serve; empty, for main only: every queue that no other group has", NOW
    )
    exclusive: bool = key(
        "no", boolean, "yes: its one process never runs twice at once, on all hosts of the store", STOP
    )


@attrs.frozen(kw_only=True, init=False, repr=False, eq=False)
class HandlerKeys(SectionKeys):
    """``[handler:QUEUE]``. Durations are seconds."""

    concurrency: int | None = optional_key(
        AT_ONCE, "jobs at once in one process; empty: [queue]", NOW, PerSite.UP_TO_THE_DAEMONS
    )
    threads: int = key("0", integer(0, 256), "run blocking code in so many threads; 0: none", NOW)
    timeout: float = inherited_key(QUEUE.by_name["timeout"], PerSite.UP_TO_THE_DAEMONS)
    max_retries: int = inherited_key(QUEUE.by_name["max_retries"], PerSite.UP_TO_THE_DAEMONS)
    retry_delay: float = inherited_key(QUEUE.by_name["retry_delay"], PerSite.YES)
    weight: float = key("1", WEIGHT, "share of handler seconds, relative to other queues", NOW)
    ordered: bool = key("no", choice(no=False, site=True), "site: one job in flight for each site, in order", NOW)
    http_allow: tuple[str, ...] = optional_key(
        networks, "private networks that the handler may reach, such as 10.0.0.0/8", NOW, empty=()
    )


@attrs.frozen(kw_only=True)
class SitesKeys(SectionKeys):
    """``[sites]``; :mod:`snqd.config.source_reader` follows it, before the rest is read."""

    dir: str | None = optional_key(one_line, "folder of files NAME.ini, each with its [site:NAME]", NOW)
    database: str | None = optional_key(
        one_line, "SQLAlchemy URL of a database with StatusNet's table status_network", NOW, secret=True
    )


@attrs.frozen(kw_only=True, init=False, repr=False, eq=False)
class SiteKeys:
    """``[site:NAME]``, but for the keys of other sections that a site may set; flat, as there may be ten thousand."""

    server: str = filled_key("", server_name, "its host name; empty: NAME", NOW, PerSite.YES)
    name: str = filled_key("", one_line, "for people; empty: NAME", NOW, PerSite.YES)
    weight: float = key("1", WEIGHT, "share of handler seconds, relative to other sites", NOW, PerSite.YES)


def _for_sites(kind: SectionKind) -> tuple[Key, ...]:
    return tuple(key.of_site(kind.name) for key in kind.keys if key.per_site is not PerSite.NO)


GROUP = SectionKind("group", "queues that have processes of their own", label="NAME", keys=keys_of(GroupKeys))
HANDLERS = SectionKind("handlers", "QUEUE = what handles its jobs", open=True)
HANDLER = SectionKind(
    "handler",
    "how one queue is handled; other keys are options of its handler",
    label="QUEUE",
    keys=keys_of(HandlerKeys),
    open=True,
)
SITES = SectionKind("sites", "where sites are defined", keys=keys_of(SitesKeys))
SITE_ALONE = SectionKind("site", "one site", label="NAME", keys=keys_of(SiteKeys))
"""The keys that only ``[site:NAME]`` has."""
SITE = SectionKind(
    "site", "one site, and what it sets for itself", label="NAME", keys=(*SITE_ALONE.keys, *_for_sites(QUEUE))
)
APP = SectionKind("app", "settings that handlers read", label="NAME", open=True)

KINDS: Mapping[str, SectionKind] = {
    kind.name: kind for kind in (SNQD, QUEUE, GROUP, HANDLERS, HANDLER, SITES, SITE, APP)
}
