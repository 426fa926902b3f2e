"""Readers of values: text of a configuration file to what it means, or a BadValue that says what to write instead.

Every reader takes text that is stripped and not empty: an empty value never gets here, it means the default.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

import attrs

from snqd.config.problems import quoted
from snqd.core.errors import BadName, SnqdError
from snqd.core.job import JSON, PHP
from snqd.core.names import check_queue

Number = TypeVar("Number", int, float)
Reader = Callable[[str], Any]

GNUSOCIAL_DB = "gnusocial-db"
GNUSOCIAL_REDIS = "gnusocial-redis"
FOREIGN = (GNUSOCIAL_DB, GNUSOCIAL_REDIS)
PHP_BASE64 = "php-base64"
WIRES = (JSON, PHP, PHP_BASE64)
"""How own jobs may be written."""
YEAR = 365 * 24 * 3600.0
SHORTEST = 0.001
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)\s*([smh]?)")
_SIZE_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([kmgKMG]?)")
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)\s*%")
LEAST_MEMORY_BYTES = 1024**2
MOST_MEMORY_BYTES = 1024**5
_INTEGER = re.compile(r"-?[0-9]{1,12}")
_DECIMAL = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,12})?")
_DAEMON_ID = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
_SERVER = re.compile(r"[^\s/]{1,255}")
_BOOLEANS = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}
_SQLITE = "sqlite:///"
_PART = r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,63}"
_BREAKOUT = re.compile(rf"{_PART}(?P<separator>[/:])(?P<queue>{_PART})(?:(?P=separator)(?P<site>{_PART}))?")


@attrs.frozen
class SoftLimit:
    """``[queue] softlimit``: one of the two.

    :ivar pct: percent of ``[snqd] memory_limit``.
    """

    size_bytes: int | None = None
    pct: float | None = None

    def of(self, memory_limit_bytes: int) -> int:
        """Bytes, for a process that may have so many."""
        return int(memory_limit_bytes * self.pct / 100) if self.pct is not None else self.size_bytes or 0


class BadValue(SnqdError):
    """The value can't be read."""


def boolean(text: str) -> bool:
    """``yes``, ``true``, ``on``, ``1`` or ``no``, ``false``, ``off``, ``0``, in any case."""
    try:
        return _BOOLEANS[text.lower()]
    except KeyError:
        raise BadValue(f"{quoted(text)} is neither yes nor no: write one of them") from None


def duration(least: float = SHORTEST, most: float = YEAR) -> Callable[[str], float]:
    """A reader of seconds, also with a suffix ``s``, ``m`` or ``h``, from `least` to `most` seconds."""

    def read(text: str) -> float:
        match = _DURATION.fullmatch(text)
        if not match:
            raise BadValue(
                f"{quoted(text)} is no duration: write seconds, or a number with s, m or h, such as 90 or 15m"
            )
        return _within(text, float(match[1]) * _SECONDS[match[2]], least, most, " seconds")

    return read


def integer(least: int, most: int) -> Callable[[str], int]:
    """A reader of whole numbers from `least` to `most`."""

    def read(text: str) -> int:
        if not _INTEGER.fullmatch(text):
            raise BadValue(f"{quoted(text)} is no whole number: write {least} to {most}")
        return _within(text, int(text), least, most)

    return read


def decimal(least: float, most: float) -> Callable[[str], float]:
    """A reader of numbers from `least` to `most`."""

    def read(text: str) -> float:
        if not _DECIMAL.fullmatch(text):
            raise BadValue(f"{quoted(text)} is no number: write {least:g} to {most:g}")
        return _within(text, float(text), least, most)

    return read


def memory_bytes(text: str) -> int:
    """A reader of memory sizes: bytes, also with a suffix ``k``, ``m`` or ``g`` (powers of 1024)."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise BadValue(f"{quoted(text)} is no size: write bytes, or a number with k, m or g, such as 512m")
    size = int(float(match[1]) * _SIZE_UNITS[match[2].lower()])
    if not LEAST_MEMORY_BYTES <= size <= MOST_MEMORY_BYTES:
        raise BadValue(f"{text} is out of range: write 1m to 1048576g")
    return size


def soft_limit(text: str) -> SoftLimit:
    """A memory size, or a percentage up to 100 %."""
    match = _PERCENT.fullmatch(text)
    if match:
        return SoftLimit(pct=_within(text, float(match[1]), 1.0, 100.0, "%"))
    try:
        return SoftLimit(memory_bytes(text))
    except BadValue as error:
        raise BadValue(f"{error}; or a share of memory_limit, such as 90%") from error


def auto_or(reader: Callable[[str], int]) -> Callable[[str], int | None]:
    """A reader of ``auto``, read as None, or what `reader` reads."""

    def read(text: str) -> int | None:
        return None if text == "auto" else reader(text)

    return read


def choice(**meanings: Any) -> Reader:
    """A reader of one of the given words, as what it means."""

    def read(text: str) -> Any:
        if text not in meanings:
            raise BadValue(f"{quoted(text)} is not supported; use {' or '.join(meanings)}")
        return meanings[text]

    return read


def one_line(text: str) -> str:
    """Any text of one line."""
    if "\n" in text:
        raise BadValue("goes on in a second line: write it in one")
    return text


def path(text: str) -> Path:
    """A path as it is written; the loader puts it in its place."""
    return Path(one_line(text))


def topic(text: str) -> str:
    """A topic of a broker, where each message reaches every daemon."""
    if not re.fullmatch(r"/topic/[!-~]+", text):
        raise BadValue("is no topic: write it as /topic/NAME, without blanks")
    return text


def daemon_id(text: str) -> str:
    """What a daemon may be called among others: 1 to 64 ASCII letters, digits, ``_``, ``.`` and ``-``."""
    if not _DAEMON_ID.fullmatch(text):
        raise BadValue(f"{quoted(text)} is no id: write 1 to 64 ASCII letters, digits, '_', '.' and '-'")
    return text


def server_name(text: str) -> str:
    """A host name, perhaps with a port."""
    if not _SERVER.fullmatch(text):
        raise BadValue(f"{quoted(text)} is no server name: write a host name, at most 255 characters, without a slash")
    return text


def items(text: str) -> tuple[str, ...]:
    """A comma-separated list; empty items are left out."""
    return tuple(stripped for item in text.split(",") if (stripped := item.strip()))


def queue_names(text: str) -> tuple[str, ...]:
    """A list of queues, each once."""
    names = items(text)
    for position, name in enumerate(names):
        try:
            check_queue(name)
        except BadName as error:
            raise BadValue(f"{error}; separate queues by commas") from error
        if name in names[:position]:
            raise BadValue(f"names {name} twice: remove one of the two")
    return names


def breakouts(text: str) -> dict[tuple[str, str], str]:
    """A list of ``group/queue`` or ``group/queue/site``, each once, by queue and site.

    Later GNU socials write ``:`` for ``/``; a name stays as it is written.
    """
    named: dict[tuple[str, str], str] = {}
    for name in items(text):
        match = _BREAKOUT.fullmatch(name)
        if match is None:
            raise BadValue(f"{quoted(name)} is no breakout: write group/queue or group/queue/site, separated by commas")
        share = match["queue"], match["site"] or ""
        if share in named:
            raise BadValue(f"{named[share]} and {name} are of the same jobs: remove one of the two")
        named[share] = name
    return named


def group_of_breakout(name: str) -> str:
    """The group in the name of a breakout."""
    return name.replace(":", "/").partition("/")[0]


def foreign_queues(text: str) -> tuple[str, ...]:
    """A list of kinds of queues that other programs fill."""
    for kind in items(text):
        if kind not in FOREIGN:
            raise BadValue(f"{quoted(kind)} is not supported; use {' or '.join(FOREIGN)}")
    return items(text)


def networks(text: str) -> tuple[str, ...]:
    """A list of networks or single addresses, in CIDR form."""
    return tuple(_network(item) for item in items(text))


def sqlite_path(text: str) -> str:
    """The path in an SQLite URL: ``sqlite:////absolute`` or ``sqlite:///relative``."""
    path = text.removeprefix(_SQLITE)
    if path == text or not path or path == ":memory:" or re.search(r"[?#\n]", path) or path.endswith("/"):
        raise BadValue(
            f"{quoted(text)} is no SQLite file: write sqlite:////absolute/path or sqlite:///path, without parameters"
        )
    return path


def monitor_target(text: str) -> str:
    """``udp://host:port`` or an HTTP URL."""
    if not text.lower().startswith("udp://"):
        return http_url(text)
    parts = _split(text)
    if not parts.hostname or not parts.port or parts.path or parts.query or parts.fragment or parts.username:
        raise BadValue(f"{quoted(text)} is no UDP target: write udp://host:port")
    return text


def http_url(text: str) -> str:
    """An ``http://`` or ``https://`` URL, without a user and password, which would end up in logs."""
    parts = _split(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise BadValue(f"{quoted(text)} is no HTTP URL: write http://host/path or https://host/path")
    if parts.username is not None:
        raise BadValue("carries a user or password, which logs would show: remove it from the URL")
    return text


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise BadValue(f"{quoted(text)} is no network ({error}): write one such as 10.0.0.0/8 or ::1") from error


def _split(url: str) -> SplitResult:
    if re.search(r"[\s{}]|[^\x21-\x7e]", url):
        raise BadValue(f"{quoted(url)} has a blank, a brace or a letter beyond ASCII: percent-encode it")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise BadValue(f"{quoted(url)} is no URL: {error}") from error
    return parts


def _within(text: str, value: Number, least: Number, most: Number, unit: str = "") -> Number:
    if not least <= value <= most:
        raise BadValue(f"{text} is out of range: write {least:.12g} to {most:.12g}{unit}")
    return value
