"""What a Redis's settings would lose."""

from __future__ import annotations

import pytest

from snqd.stores.redis.info import info
from snqd.stores.redis.login import eviction, risks


@pytest.mark.parametrize(
    ("appendonly", "appendfsync", "told"),
    [
        ("no", "always", "appendonly is off"),
        ("yes", "everysec", "the last second or two"),
        ("yes", "no", "the last half minute"),
        (None, None, "can't be read"),
    ],
)
def test_settings_that_lose_jobs_are_told_with_what_to_set(
    appendonly: str | None, appendfsync: str | None, told: str
) -> None:
    (warning,) = risks(appendonly, appendfsync)
    assert told in warning
    assert "appendfsync always" in warning


def test_the_settings_that_lose_nothing_are_not_told() -> None:
    assert risks("yes", "always") == []


@pytest.mark.parametrize(
    ("maxmemory", "policy", "number"),
    [
        ("0", "allkeys-lru", 0),
        ("100", "allkeys-lru", 1),
        ("100", "noeviction", 0),
        ("100", "volatile-ttl", 0),
        (None, None, 0),
    ],
)
def test_only_a_policy_that_deletes_jobs_is_told(maxmemory: str | None, policy: str | None, number: int) -> None:
    assert len(eviction(maxmemory, policy)) == number


def test_the_fields_of_info_are_read() -> None:
    assert info(b"# Server\r\nredis_version:7.0.15\r\nrole:master\r\n\r\n") == {
        "redis_version": "7.0.15",
        "role": "master",
    }
