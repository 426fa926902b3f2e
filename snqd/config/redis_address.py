"""``[queue] redis``: where Redis is."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import attrs

from snqd.config.values import BadValue

REDIS_PORT = 6379
SENTINEL_PORT = 26379
_FORMS = (
    "write redis://user:password@host:port/db, rediss://user:password@host:port/db?ca=/path, unix:///path?db=0, "
    "or redis+sentinel://user:password@host:port,host:port/service/db"
)


@attrs.frozen
class RedisAddress:
    """Where Redis is, and how to log in there.

    :ivar hosts: host and port of the server, or of the Sentinels that know it; empty where `path` says where it is.
    :ivar path: its Unix socket, else empty.
    :ivar service: what the Sentinels call it, else empty.
    :ivar db: number of the database.
    :ivar username: empty for Redis's default user.
    :ivar password: empty where none is wanted.
    :ivar tls: whether to speak TLS, with a server that proves its name.
    :ivar ca: file of the certificates that it is proved by; empty for those that the system trusts.
    """

    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    service: str = ""
    db: int = 0
    username: str = ""
    password: str = attrs.field(default="", repr=False)
    tls: bool = False
    ca: str = ""

    def __str__(self) -> str:
        """The address as messages name it, without the password."""
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        return f"{self.path or hosts}/{self.service + '/' if self.service else ''}{self.db}"


def redis_address(text: str) -> RedisAddress:
    """``redis://``, ``rediss://`` (TLS), ``unix:`` or ``redis+sentinel://``. A message never shows the password."""
    if re.search(r"[^\x21-\x7e]", text):
        raise BadValue(f"the URL has a blank or a letter beyond ASCII: percent-encode it; {_FORMS}")
    try:
        url = urlsplit(text)
    except ValueError as error:
        raise BadValue(f"it is no URL: {_FORMS}") from error
    readers = {"redis": _tcp, "rediss": _tls, "unix": _unix, "redis+sentinel": _sentinel}
    if url.scheme not in readers or url.fragment or (url.query and url.scheme not in ("rediss", "unix")):
        raise BadValue(f"it is no URL of a Redis: {_FORMS}")
    return readers[url.scheme](url)


def _tcp(url: SplitResult) -> RedisAddress:
    hosts = _hosts(url, REDIS_PORT)
    if len(hosts) > 1:
        raise BadValue(f"{url.scheme}:// takes one host: {_FORMS}")
    return _with_user(RedisAddress(hosts, db=_db(url.path.lstrip("/"))), url)


def _tls(url: SplitResult) -> RedisAddress:
    words = dict(parse_qsl(url.query, keep_blank_values=True))
    ca = words.pop("ca", "")
    if words or (ca and not ca.startswith("/")):
        raise BadValue(f"rediss:// takes ca only, an absolute path: {_FORMS}")
    return attrs.evolve(_tcp(url), tls=True, ca=ca)


def _sentinel(url: SplitResult) -> RedisAddress:
    service, _, db = url.path.lstrip("/").partition("/")
    if not service:
        raise BadValue(f"redis+sentinel:// wants the name that the Sentinels have for the service: {_FORMS}")
    return _with_user(RedisAddress(_hosts(url, SENTINEL_PORT), service=unquote(service), db=_db(db)), url)


def _unix(url: SplitResult) -> RedisAddress:
    words = dict(parse_qsl(url.query, keep_blank_values=True))
    db = words.pop("db", "")
    if words or not url.path.startswith("/") or url.hostname:
        raise BadValue(f"unix: wants an absolute path, and takes db only: {_FORMS}")
    return _with_user(RedisAddress(path=unquote(url.path), db=_db(db)), url)


def _hosts(url: SplitResult, port: int) -> tuple[tuple[str, int], ...]:
    return tuple(_host(text, port) for text in url.netloc.rpartition("@")[2].split(","))


def _host(text: str, default: int) -> tuple[str, int]:
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_.\-]+))(?::([0-9]{1,5}))?", text)
    if not match or not 0 < int(match[3] or default) < 65536:
        raise BadValue(f"a host in it is no host or host:port: {_FORMS}")
    return match[1] or match[2], int(match[3] or default)


def _with_user(address: RedisAddress, url: SplitResult) -> RedisAddress:
    name, _, password = url.netloc.rpartition("@")[0].partition(":")
    return attrs.evolve(address, username=unquote(name), password=unquote(password))


def _db(text: str) -> int:
    if not re.fullmatch(r"[0-9]{0,5}", text):
        raise BadValue(f"the database in it is no number: {_FORMS}")
    return int(text or 0)
