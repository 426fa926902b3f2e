"""``[snqd]`` and ``[queue]`` to DaemonSettings and QueueSettings."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from snqd.config.database_url import SQLITE, sqlite_file
from snqd.config.document import Document, read_values
from snqd.config.ini import Section
from snqd.config.problems import Problems
from snqd.config.schema import PROCESSES, QUEUE, SNQD, STATE_DIR
from snqd.config.settings import DaemonSettings, QueueSettings
from snqd.config.stomp_servers import StompSettings
from snqd.config.values import GNUSOCIAL_REDIS, BadValue, daemon_id
from snqd.core.errors import ConfigError
from snqd.core.retry import RetryPolicy

#: A Unix socket's path, with its final NUL, must fit into 108 bytes; some systems have less.
MAX_SOCKET_PATH_BYTES = 99


@attrs.frozen
class Overrides:
    """What the command line says over the files; None where it says nothing.

    :ivar threads: ``--threads``: processes of group main.
    :ivar id: ``--id``: the daemon's name.
    """

    threads: int | None = None
    id: str | None = None

    def check(self) -> None:
        """
        :raises ConfigError: naming every option that is out of range.
        """
        problems = [
            f"--{option}: {problem}"
            for option, read, value in (("threads", PROCESSES, self.threads), ("id", daemon_id, self.id))
            if value is not None and (problem := _refusal(read, str(value)))
        ]
        if problems:
            raise ConfigError(problems)


NO_OVERRIDES = Overrides()


def usable_cpus() -> int:
    """How many CPUs this process may use."""
    return len(os.sched_getaffinity(0))


def read_daemon(document: Document, overrides: Overrides, problems: Problems) -> DaemonSettings:
    """``[snqd]``; `threads` is still without what ``[group:main]`` says."""
    section = document.one(SNQD)
    values = read_values(SNQD, section, problems)
    state_dir = _state_dir(section, values["state_dir"], problems)
    control = located(values["control"], section.file, state_dir)
    _check_control(control, section, problems)
    return DaemonSettings(
        id=overrides.id or values["id"] or _host_name(section, problems),
        state_dir=state_dir,
        control=control,
        threads=overrides.threads or values["threads"] or usable_cpus(),
        drain_timeout=values["drain_timeout"],
        hang_timeout=values["hang_timeout"],
        respawn_max_delay=values["respawn_max_delay"],
        memory_limit_bytes=values["memory_limit"],
        log_format=values["log_format"],
    )


def read_queue(document: Document, state_dir: Path, problems: Problems) -> QueueSettings:
    """``[queue]``."""
    section = document.one(QUEUE)
    values = read_values(QUEUE, section, problems)
    at = partial(located, file=section.file, state_dir=state_dir)
    retry = RetryPolicy(values["max_retries"], values["retry_delay"], values["retry_max_delay"])
    settings = QueueSettings(
        enabled=values["enabled"],
        subsystem=values["subsystem"],
        db=_at_place(values["db"], at),
        redis=values["redis"],
        stomp=_stomp(values, at),
        queue_basename=values["queue_basename"],
        control_channel=values["control_channel"],
        control_key_file=at(values["control_key_file"]) if values["control_key_file"] else None,
        control_unsigned=values["control_unsigned"],
        breakout=values["breakout"] or {},
        wire=values["wire"],
        foreign=values["foreign"] or (),
        foreign_claim_age=values["foreign_claim_age"],
        morgue=_at_place(values["morgue"], at),
        dead_letter_dir=at(values["dead_letter_dir"]) if values["dead_letter_dir"] else None,
        spawndelay=values["spawndelay"],
        softlimit=values["softlimit"],
        debug_memory=values["debug_memory"],
        monitor=values["monitor"] or "",
        concurrency=values["concurrency"],
        timeout=values["timeout"],
        lease=values["lease"],
        retry=retry,
    )
    if settings.db_file is not None and settings.db_file == settings.morgue_file:
        problems.at(section, "morgue", f"names the file of db, {settings.db_file}: give the morgue a file of its own")
    if settings.subsystem == "redis" and settings.redis is None and not problems.concern(section):
        problems.at(section, "redis", "subsystem redis needs it: name the Redis, such as redis://127.0.0.1:6379/0")
    _check_stomp(settings, section, problems)
    if GNUSOCIAL_REDIS in settings.foreign and settings.subsystem != "redis":
        problems.at(
            section, "foreign", f"{GNUSOCIAL_REDIS} needs subsystem redis, on GNU social's own Redis: set it so"
        )
    if not problems.concern(section):
        check_delay(section, "retry_delay", retry, problems)
    return settings


def _stomp(values: Mapping[str, Any], at: Callable[[str], Path]) -> StompSettings:
    return StompSettings(
        servers=values["stomp_server"] or (),
        username=values["stomp_username"] or "",
        password=values["stomp_password"] or "",
        password_file=at(values["stomp_password_file"]) if values["stomp_password_file"] else None,
        vhost=values["stomp_vhost"],
        manual_failover=values["stomp_manual_failover"],
        enqueue_on=values["stomp_enqueue_on"] or "",
    )


def _check_stomp(settings: QueueSettings, section: Section, problems: Problems) -> None:
    stomp = settings.stomp
    if problems.concern(section):
        return
    if settings.subsystem == "stomp" and not stomp.servers:
        problems.at(section, "stomp_server", "subsystem stomp needs it: name the broker, such as 127.0.0.1:61613")
    if stomp.enqueue_on and stomp.enqueue_on not in stomp.servers:
        listed = ", ".join(stomp.servers) or "nothing"
        problems.at(section, "stomp_enqueue_on", f"stomp_server lists {listed}: name one of these, as it stands there")
    if stomp.password and stomp.password_file is not None:
        problems.at(section, "stomp_password_file", "stomp_password is set as well: remove one of the two")


def located(path: str, file: str, state_dir: Path) -> Path:
    """Where `path` leads: from the folder of the file that names it, or from state_dir where STATE_DIR begins it."""
    head, _, tail = path.partition("/")
    if head == STATE_DIR:
        return state_dir / tail
    return Path(os.path.normpath(os.path.join(os.path.dirname(file), path)))


def _at_place(url: str, at: Callable[[str], Path]) -> str:
    """`url`, if of an SQLite file with its absolute path."""
    path = sqlite_file(url)
    return url if path is None else f"{SQLITE}{at(str(path))}"


def check_delay(section: Section, key: str, retry: RetryPolicy, problems: Problems) -> None:
    """Refuse a first delay, set by `key` of `section`, that the longest one would cut."""
    entry = section.entries.get(key)
    if entry and entry.value and retry.delay > retry.max_delay:
        problems.at(
            section,
            key,
            f"{retry.delay:.12g} seconds are more than the retry_max_delay that applies, {retry.max_delay:.12g}: "
            "lower the one or raise the other",
        )


def _state_dir(section: Section, path: str, problems: Problems) -> Path:
    if path.partition("/")[0] == STATE_DIR:
        problems.at(section, "state_dir", f"is defined by itself: name a folder instead of {STATE_DIR}")
    return Path(os.path.normpath(os.path.join(os.path.dirname(section.file), path)))


def _check_control(control: Path, section: Section, problems: Problems) -> None:
    size = len(os.fsencode(control))
    if size > MAX_SOCKET_PATH_BYTES:
        problems.at(
            section,
            "control",
            f"{control} has {size} bytes, a Unix socket's path {MAX_SOCKET_PATH_BYTES} at most: "
            "set control to a shorter path, such as /run/snqd.sock",
        )


def _host_name(section: Section, problems: Problems) -> str:
    name = socket.gethostname()
    if _refusal(daemon_id, name):
        problems.at(section, "id", f"the host's name {name!a} can't serve as id: set one")
    return name


def _refusal(read: Callable[[str], Any], text: str) -> str:
    try:
        read(text)
    except BadValue as error:
        return str(error)
    return ""
