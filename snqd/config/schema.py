"""Every section and key that a configuration may have, declared once: reading, checking, suggestions and the test of
etc/snq.ini derive from this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

import attrs

from snqd.config.database_url import database_url
from snqd.config.redis_address import redis_address
from snqd.config.stomp_servers import stomp_server, stomp_servers
from snqd.config.values import (
    WIRES,
    Reader,
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
    queue_names,
    server,
    soft_limit,
    topic,
)

#: Stands for ``[snqd] state_dir`` at the beginning of a path.
STATE_DIR = "STATE_DIR"


class PerSite(Enum):
    """Whether a site may set a key of ``[handler:QUEUE]`` for itself."""

    NO = "no"
    YES = "yes"
    UP_TO_THE_DAEMONS = "up to the daemon's value"


@attrs.frozen
class Key:
    """One key.

    :ivar default: as an operator would write it; empty where it is nothing, or comes from elsewhere, as `doc` says.
    """

    name: str
    default: str
    read: Reader
    doc: str
    per_site: PerSite = PerSite.NO


@attrs.frozen
class SectionKind:
    """``[name]``, or the sections ``[name:LABEL]``.

    :ivar label: what stands for the label in documentation; empty for a section without one.
    :ivar keys: the keys it knows.
    :ivar open: whether it takes any other key too.
    """

    name: str
    doc: str
    label: str = ""
    keys: tuple[Key, ...] = ()
    open: bool = False
    by_name: Mapping[str, Key] = attrs.field(init=False)
    defaults: Mapping[str, Any] = attrs.field(init=False)

    @by_name.default
    def _index(self) -> Mapping[str, Key]:
        return {key.name: key for key in self.keys}

    @defaults.default
    def _read_defaults(self) -> Mapping[str, Any]:
        return {key.name: key.read(key.default) if key.default else None for key in self.keys}

    @property
    def title(self) -> str:
        """How documentation writes the section's name."""
        return f"{self.name}:{self.label}" if self.label else self.name


MOST_AT_ONCE = 1000
AT_ONCE = integer(1, MOST_AT_ONCE)
RETRIES = integer(0, 10_000)
PROCESSES = integer(1, 1000)
CHILDREN = integer(0, 1000)
WEIGHT = decimal(0.001, 1000)
SINCE_NOW = duration(0.0)

SNQD = SectionKind(
    "snqd",
    "the daemon itself",
    keys=(
        Key("id", "", daemon_id, "name of this daemon among others; empty: the host's name"),
        Key("state_dir", "state", one_line, "folder of what must survive a restart"),
        Key("control", "STATE_DIR/control.sock", one_line, "Unix socket on which snqctl reaches the daemon"),
        Key("threads", "auto", auto_or(PROCESSES), "processes of group main; auto: one for each CPU that it may use"),
        Key("drain_timeout", "25", duration(), "seconds that jobs in hand get when a process stops"),
        Key("hang_timeout", "60", duration(), "seconds without a sign of life after which a process is killed"),
        Key(
            "respawn_max_delay",
            "30",
            duration(),
            "longest wait, in seconds, before a process that keeps dying comes back",
        ),
        Key("memory_limit", "auto", auto_or(memory_bytes), "memory of one process; auto: an equal share for each"),
        Key("log_format", "text", choice(text="text", json="json"), "text, or json: one object a line"),
    ),
)

QUEUE = SectionKind(
    "queue",
    "the store, and what holds for every queue",
    keys=(
        Key("enabled", "yes", boolean, "no: jobs run at once, in the process that enqueues them"),
        Key("subsystem", "db", choice(db="db", redis="redis", stomp="stomp"), "kind of store: db, redis or stomp"),
        Key("db", "sqlite:///STATE_DIR/queue.db", database_url, "database of the jobs"),
        Key("redis", "", redis_address, "the Redis of subsystem redis: its URL"),
        Key(
            "queue_basename", "/queue/snqd.", one_line, "what this farm's names begin with in a store that farms share"
        ),
        Key("breakout", "", breakouts, "queues, or one site's shares of them, with a destination of their own"),
        Key(
            "wire",
            "json",
            choice(**{wire: wire for wire in WIRES}),
            "how own jobs are written: json, php or php-base64",
        ),
        Key("stomp_server", "", stomp_servers, "the brokers of subsystem stomp"),
        Key("stomp_username", "", one_line, "name to log in with at the brokers"),
        Key("stomp_password", "", one_line, "password that goes with it"),
        Key("stomp_password_file", "", one_line, "file that holds the password instead"),
        Key("stomp_vhost", "/", one_line, "virtual host of the brokers that the farm is on; ActiveMQ has none"),
        Key("stomp_manual_failover", "yes", boolean, "yes: listen to all brokers; no: to one that is up"),
        Key("stomp_enqueue_on", "", stomp_server, "the broker that jobs are sent to; empty: one that is up"),
        Key(
            "control_channel",
            "/topic/snqd.control",
            topic,
            "topic on the brokers by which commands reach all daemons",
        ),
        Key("control_key_file", "", one_line, "file with the key that commands to all daemons are signed with"),
        Key("control_unsigned", "no", boolean, "yes: obey unsigned commands too, such as StatusNet's"),
        Key("foreign", "", foreign_queues, "queues of other programs to serve too: gnusocial-db, gnusocial-redis"),
        Key("foreign_claim_age", "3600", duration(1.0), "seconds after which another program's claim counts as stale"),
        Key("morgue", "sqlite:///STATE_DIR/morgue.db", database_url, "database of the dead letters"),
        Key("dead_letter_dir", "", one_line, "folder that gets a file for each dead letter too"),
        Key("concurrency", "50", AT_ONCE, "jobs at once in one process"),
        Key("timeout", "600", duration(), "seconds after which a job is cancelled and tried again"),
        Key("lease", "60", duration(1.0), "seconds after which the jobs of a process that vanished are taken over"),
        Key("max_retries", "10", RETRIES, "times that a job is tried again"),
        Key("retry_delay", "15", SINCE_NOW, "seconds before the first retry; each further one waits twice as long"),
        Key("retry_max_delay", "3600", SINCE_NOW, "longest wait before a retry, in seconds"),
        Key("spawndelay", "1", duration(), "seconds before a process that died is started again"),
        Key("softlimit", "90%", soft_limit, "memory at which a process is replaced: a size, or % of memory_limit"),
        Key("debug_memory", "no", boolean, "yes: log the memory of each process when it changes"),
        Key("monitor", "", monitor_target, "where counters and states are sent: udp://host:port or an HTTP URL"),
    ),
)

GROUP = SectionKind(
    "group",
    "queues that have processes of their own",
    label="NAME",
    keys=(
        Key(
            "children",
            "",
            CHILDREN,
            "how many processes; empty: 1, for main [snqd] threads; 0: others serve the queues",
        ),
        Key("queues", "", queue_names, "what they serve; empty, for main only: every queue that no other group has"),
        Key("exclusive", "no", boolean, "yes: its one process never runs twice at once, not even during a restart"),
    ),
)

HANDLERS = SectionKind("handlers", "QUEUE = what handles its jobs", open=True)

HANDLER = SectionKind(
    "handler",
    "how one queue is handled; other keys are options of its handler",
    label="QUEUE",
    keys=(
        Key("concurrency", "", AT_ONCE, "jobs at once in one process; empty: [queue]", PerSite.UP_TO_THE_DAEMONS),
        Key("threads", "0", integer(0, 256), "run blocking code in so many threads; 0: none"),
        Key("timeout", "", duration(), "as in [queue], which holds where it is empty", PerSite.UP_TO_THE_DAEMONS),
        Key("max_retries", "", RETRIES, "as in [queue], which holds where it is empty", PerSite.UP_TO_THE_DAEMONS),
        Key("retry_delay", "", SINCE_NOW, "as in [queue], which holds where it is empty", PerSite.YES),
        Key("weight", "1", WEIGHT, "share of handler seconds, relative to other queues"),
        Key("ordered", "no", choice(no=False, site=True), "site: one job in flight for each site, in order"),
        Key("http_allow", "", networks, "private networks that the handler may reach, such as 10.0.0.0/8"),
    ),
    open=True,
)

SITES = SectionKind(
    "sites",
    "where sites are defined",
    keys=(
        Key("dir", "", one_line, "folder of files NAME.ini, each with its [site:NAME]"),
        Key("database", "", one_line, "SQLAlchemy URL of a database with StatusNet's table status_network"),
    ),
)

SITE = SectionKind(
    "site",
    "one site, and what it sets for itself",
    label="NAME",
    keys=(
        Key("server", "", server, "its host name; empty: NAME"),
        Key("name", "", one_line, "for people; empty: NAME"),
        Key("weight", "1", WEIGHT, "share of handler seconds, relative to other sites"),
        Key("queue.max_retries", "", RETRIES, "as in [queue]", PerSite.YES),
        Key("queue.retry_delay", "", SINCE_NOW, "as in [queue]", PerSite.YES),
        Key("queue.retry_max_delay", "", SINCE_NOW, "as in [queue]", PerSite.YES),
    ),
)

APP = SectionKind("app", "settings that handlers read", label="NAME", open=True)

KINDS: Mapping[str, SectionKind] = {
    kind.name: kind for kind in (SNQD, QUEUE, GROUP, HANDLERS, HANDLER, SITES, SITE, APP)
}
