"""[queue] redis: every form of URL, and what is refused."""

from __future__ import annotations

import pytest

from snqd.config.redis_address import RedisAddress, redis_address
from snqd.config.values import BadValue

GOOD = [
    ("redis://localhost", RedisAddress((("localhost", 6379),))),
    ("redis://10.0.0.7:7000/3", RedisAddress((("10.0.0.7", 7000),), db=3)),
    ("redis://[::1]:7000/", RedisAddress((("::1", 7000),))),
    ("redis://:s%40cret@h", RedisAddress((("h", 6379),), password="s@cret")),
    ("redis://me:pw:more@h/1", RedisAddress((("h", 6379),), db=1, username="me", password="pw:more")),
    ("rediss://h", RedisAddress((("h", 6379),), tls=True)),
    (
        "rediss://:pw@h:7/1?ca=/etc/ca%20s.pem",
        RedisAddress((("h", 7),), db=1, password="pw", tls=True, ca="/etc/ca s.pem"),
    ),
    ("unix:///run/redis.sock", RedisAddress(path="/run/redis.sock")),
    ("unix:/run/a%20b.sock?db=2", RedisAddress(path="/run/a b.sock", db=2)),
    ("unix://:pw@/run/r.sock", RedisAddress(path="/run/r.sock", password="pw")),
    (
        "redis+sentinel://:pw@one,two:7001/farm/4",
        RedisAddress((("one", 26379), ("two", 7001)), service="farm", db=4, password="pw"),
    ),
]


@pytest.mark.parametrize(("text", "address"), GOOD, ids=[text for text, _ in GOOD])
def test_a_url_of_each_form_is_read(text: str, address: RedisAddress) -> None:
    assert redis_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "localhost:6379",
        "http://localhost",
        "rediss://localhost?ca=here.pem",
        "rediss://localhost?cert=/x",
        "redis://",
        "redis://a,b/0",
        "redis://h:0",
        "redis://h:99999",
        "redis://h:x",
        "redis://h/first",
        "redis://h/0?timeout=3",
        "redis://h/0#there",
        "redis://h h/0",
        "redis://[::1/0",
        "unix://host/run/r.sock",
        "unix:run/r.sock",
        "unix:/run/r.sock?db=x",
        "unix:/run/r.sock?mode=x",
        "redis+sentinel://a,b",
        "redis+sentinel://a,,b/farm",
    ],
)
def test_anything_else_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(BadValue, match="write redis://"):
        redis_address(text)


@pytest.mark.parametrize("text", ["redis://:secret@h:x", "redis://:sec ret@h", "unix://:secret@h/x", "x://:secret@h"])
def test_a_refusal_does_not_show_the_password(text: str) -> None:
    with pytest.raises(BadValue) as raised:
        redis_address(text)
    assert "sec" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://me:secret@h/2", "h:6379/2"),
        ("redis://[::1]:7", "[::1]:7/0"),
        ("unix://:secret@/run/r.sock", "/run/r.sock/0"),
        ("redis+sentinel://:secret@a,b/farm", "a:26379,b:26379/farm/0"),
    ],
)
def test_an_address_is_shown_without_its_password(text: str, shown: str) -> None:
    assert str(redis_address(text)) == shown
    assert "secret" not in repr(redis_address(text))
