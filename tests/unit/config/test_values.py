"""Readers of values: what they accept, and what they say about the rest."""

from __future__ import annotations

import pytest

from snqd.config import values
from snqd.config.values import BadValue, Reader, SoftLimit


@pytest.mark.parametrize(
    ("reader", "text", "value"),
    [
        (values.boolean, "yes", True),
        (values.boolean, "True", True),
        (values.boolean, "ON", True),
        (values.boolean, "1", True),
        (values.boolean, "no", False),
        (values.boolean, "false", False),
        (values.boolean, "Off", False),
        (values.boolean, "0", False),
        (values.duration(), "90", 90.0),
        (values.duration(), "0.5", 0.5),
        (values.duration(), "30s", 30.0),
        (values.duration(), "1.5 m", 90.0),
        (values.duration(), "2h", 7200.0),
        (values.duration(0.0), "0", 0.0),
        (values.integer(0, 5), "5", 5),
        (values.decimal(0.001, 1000), "2.5", 2.5),
        (values.auto_or(values.integer(1, 9)), "auto", None),
        (values.auto_or(values.integer(1, 9)), "3", 3),
        (values.choice(no=False, site=True), "site", True),
        (values.memory_bytes, "2000000", 2_000_000),
        (values.memory_bytes, "2048k", 2 * 1024**2),
        (values.memory_bytes, "512 M", 512 * 1024**2),
        (values.memory_bytes, "1.5g", 3 * 1024**3 // 2),
        (values.soft_limit, "90%", SoftLimit(pct=90.0)),
        (values.soft_limit, "99.5 %", SoftLimit(pct=99.5)),
        (values.soft_limit, "100m", SoftLimit(100 * 1024**2)),
        (values.server_name, "alpha.example:8080", "alpha.example:8080"),
        (values.items, "a,\nb c, ,", ("a", "b c")),
        (values.queue_names, "a, b.c", ("a", "b.c")),
        (values.networks, "10.0.0.0/8, 127.0.0.1, ::1", ("10.0.0.0/8", "127.0.0.1/32", "::1/128")),
        (values.sqlite_path, "sqlite:////var/q.db", "/var/q.db"),
        (values.sqlite_path, "sqlite:///var/q.db", "var/q.db"),
        (values.monitor_target, "udp://monitor.example:3000", "udp://monitor.example:3000"),
        (values.monitor_target, "udp://[::1]:3000", "udp://[::1]:3000"),
        (values.monitor_target, "http://monitor.example/ping", "http://monitor.example/ping"),
        (values.http_url, "HTTPS://h.example:1/a?b=c", "HTTPS://h.example:1/a?b=c"),
    ],
)
def test_a_right_value_is_read(reader: Reader, text: str, value: object) -> None:
    assert reader(text) == value


@pytest.mark.parametrize(
    ("reader", "text", "message"),
    [
        (values.memory_bytes, "lots", "'lots' is no size: write bytes, or a number with k, m or g, such as 512m"),
        (values.memory_bytes, "4k", "4k is out of range: write 1m to 1048576g"),
        (
            values.soft_limit,
            "90 percent",
            "'90 percent' is no size: write bytes, or a number with k, m or g, such as 512m; "
            "or a share of memory_limit, such as 90%",
        ),
        (values.soft_limit, "101%", "101% is out of range: write 1 to 100%"),
        (values.boolean, "maybe", "'maybe' is neither yes nor no: write one of them"),
        (
            values.duration(),
            "10 days",
            "'10 days' is no duration: write seconds, or a number with s, m or h, such as 90 or 15m",
        ),
        (values.duration(), "-1", "'-1' is no duration: write seconds, or a number with s, m or h, such as 90 or 15m"),
        (
            values.duration(),
            "inf",
            "'inf' is no duration: write seconds, or a number with s, m or h, such as 90 or 15m",
        ),
        (
            values.duration(),
            "٣",
            "'\u0663' is no duration: write seconds, or a number with s, m or h, such as 90 or 15m",
        ),
        (values.duration(), "0", "0 is out of range: write 0.001 to 31536000 seconds"),
        (values.duration(), "9000h", "9000h is out of range: write 0.001 to 31536000 seconds"),
        (values.integer(1, 1000), "many", "'many' is no whole number: write 1 to 1000"),
        (values.integer(1, 1000), "9" * 5000, f"'{'9' * 60}...' is no whole number: write 1 to 1000"),
        (values.integer(1, 1000), "0", "0 is out of range: write 1 to 1000"),
        (values.integer(1, 1000), "1001", "1001 is out of range: write 1 to 1000"),
        (values.decimal(0.001, 1000), "nan", "'nan' is no number: write 0.001 to 1000"),
        (values.decimal(0.001, 1000), "0", "0 is out of range: write 0.001 to 1000"),
        (values.decimal(0.001, 1000), "-2", "-2 is out of range: write 0.001 to 1000"),
        (values.choice(db="db"), "stomp", "'stomp' is not supported; use db"),
        (values.choice(no=False, site=True), "yes", "'yes' is not supported; use no or site"),
        (values.one_line, "a\nb", "goes on in a second line: write it in one"),
        (values.daemon_id, "a b", "'a b' is no id: write 1 to 64 ASCII letters, digits, '_', '.' and '-'"),
        (
            values.server_name,
            "http://alpha",
            "'http://alpha' is no server name: write a host name, at most 255 characters, without a slash",
        ),
        (
            values.queue_names,
            "a b",
            "'a b' is no queue name: 1 to 64 ASCII letters, digits, '_', '.' and '-', beginning with a letter, a digit "
            "or '_'; separate queues by commas",
        ),
        (values.queue_names, "a, b, a", "names a twice: remove one of the two"),
        (
            values.networks,
            "10.0.0.1/8",
            "'10.0.0.1/8' is no network (10.0.0.1/8 has host bits set): write one such as 10.0.0.0/8 or ::1",
        ),
        (values.http_url, "ftp://h/", "'ftp://h/' is no HTTP URL: write http://host/path or https://host/path"),
        (values.http_url, "http:///p", "'http:///p' is no HTTP URL: write http://host/path or https://host/path"),
        (values.http_url, "http://h:99999/", "'http://h:99999/' is no URL: Port out of range 0-65535"),
        (values.http_url, "http://[::1/", "'http://[::1/' is no URL: Invalid IPv6 URL"),
        (values.http_url, "http://u:p@h/", "carries a user or password, which logs would show: remove it from the URL"),
        (
            values.http_url,
            "http://h/{site}",
            "'http://h/{site}' has a blank, a brace or a letter beyond ASCII: percent-encode it",
        ),
        (values.monitor_target, "udp://h", "'udp://h' is no UDP target: write udp://host:port"),
        (values.monitor_target, "udp://h:1/x", "'udp://h:1/x' is no UDP target: write udp://host:port"),
        (values.monitor_target, "tcp://h:1", "'tcp://h:1' is no HTTP URL: write http://host/path or https://host/path"),
    ],
)
def test_a_wrong_value_is_refused_with_what_to_write(reader: Reader, text: str, message: str) -> None:
    with pytest.raises(BadValue) as caught:
        reader(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "text",
    [
        "/q.db",
        "postgresql://h/db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///q.db?mode=ro",
        "sqlite:///d/",
    ],
)
def test_only_a_plain_sqlite_file_is_a_database(text: str) -> None:
    with pytest.raises(BadValue) as caught:
        values.sqlite_path(text)
    assert str(caught.value) == (
        f"'{text}' is no SQLite file: write sqlite:////absolute/path or sqlite:///path, without parameters"
    )
