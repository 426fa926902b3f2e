"""``[snqd]`` and ``[queue]`` to DaemonSettings and QueueSettings."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from snqd.config.database_url import SQLITE, database_url, sqlite_file
from snqd.config.document import Document, read_values
from snqd.config.ini import Section
from snqd.config.key import SectionKind
from snqd.config.problems import Problems
from snqd.config.schema import PROCESSES, QUEUE, SNQD, STATE_DIR, SUBSYSTEMS
from snqd.config.settings import DaemonSettings, QueueSettings
from snqd.config.values import GNUSOCIAL_REDIS, BadValue, Reader, daemon_id, path
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
    written = read_values(SNQD, section, problems)
    written["id"] = overrides.id or written["id"] or _host_name(section, problems)
    written["threads"] = overrides.threads or written["threads"] or usable_cpus()
    state_dir = _state_dir(section, written["state_dir"], problems)
    values = {**_placed(SNQD, written, section.file, state_dir), "state_dir": state_dir}
    _check_control(values["control"], section, problems)
    return DaemonSettings(written=written, **values)


def read_queue(document: Document, state_dir: Path, problems: Problems) -> QueueSettings:
    """``[queue]``."""
    section = document.one(QUEUE)
    written = read_values(QUEUE, section, problems)
    settings = QueueSettings(written=written, **_placed(QUEUE, written, section.file, state_dir))
    if settings.db_file is not None and settings.db_file == settings.morgue_file:
        problems.at(section, "morgue", f"names the file of db, {settings.db_file}: give the morgue a file of its own")
    if not problems.concern(section):
        _check_place(settings, section, problems)
        _check_stomp(settings, section, problems)
    if GNUSOCIAL_REDIS in settings.foreign and settings.subsystem != "redis":
        problems.at(
            section, "foreign", f"{GNUSOCIAL_REDIS} needs subsystem redis, on GNU social's own Redis: set it so"
        )
    if not problems.concern(section):
        check_delay(section, "retry_delay", settings.retry, problems)
    return settings


def _check_place(settings: QueueSettings, section: Section, problems: Problems) -> None:
    place = SUBSYSTEMS[settings.subsystem]
    if not getattr(settings, place.key):
        problems.at(section, place.key, f"subsystem {settings.subsystem} needs it: {place.advice}")


def _check_stomp(settings: QueueSettings, section: Section, problems: Problems) -> None:
    stomp = settings.stomp
    if stomp.enqueue_on and stomp.enqueue_on not in stomp.servers:
        listed = ", ".join(stomp.servers) or "nothing"
        problems.at(section, "stomp_enqueue_on", f"stomp_server lists {listed}: name one of these, as it stands there")
    if stomp.password and stomp.password_file is not None:
        problems.at(section, "stomp_password_file", "stomp_password is set as well: remove one of the two")


def _placed(kind: SectionKind, written: Mapping[str, Any], file: str, state_dir: Path) -> dict[str, Any]:
    """The values of a section of `file`, with each path in its place."""
    values = dict(written)
    for key in kind.keys:
        if key.read in PLACED and values[key.name] is not None:
            values[key.name] = PLACED[key.read](values[key.name], file, state_dir)
    return values


def located(path: Path, file: str, state_dir: Path) -> Path:
    """Where `path` leads: from the folder of the file that names it, or from state_dir where STATE_DIR begins it."""
    if path.parts[:1] == (STATE_DIR,):
        return state_dir.joinpath(*path.parts[1:])
    return Path(os.path.normpath(os.path.join(os.path.dirname(file), path)))


def _located_url(url: str, file: str, state_dir: Path) -> str:
    path = sqlite_file(url)
    return url if path is None else f"{SQLITE}{located(path, file, state_dir)}"


PLACED: Mapping[Reader, Callable[[Any, str, Path], Any]] = {path: located, database_url: _located_url}
"""What puts the values of a reader in their place: a path starts at the file that names it, or at STATE_DIR."""


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


def _state_dir(section: Section, path: Path, problems: Problems) -> Path:
    if path.parts[:1] == (STATE_DIR,):
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
