"""One value of the settings by section and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from snqd.config.key import SectionKind
from snqd.config.load import load
from snqd.config.lookup import UnknownKey, value_of
from snqd.config.schema import GROUP, HANDLER, QUEUE, SNQD
from snqd.config.settings import Settings
from snqd.config.sources import Sources

TEXT = """
[snqd]
id = t
memory_limit = 100m
drain_timeout = 2m
[queue]
retry_delay = 3
stomp_username = ada
[group:slow]
queues = resize
children = 3
[handlers]
resize = package.Resize
[handler:resize]
timeout = 1m
max_retries = 2
quality = 80
[app:media]
dir = /srv
"""


@pytest.fixture
def settings() -> Settings:
    return load(Sources(Path("/etc/snq.ini"), {"/etc/snq.ini": TEXT}), plugins={})


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("snqd", "drain_timeout", 120.0),
        ("snqd", "memory_limit", 100 * 1024 * 1024),
        ("snqd", "state_dir", Path("/etc/state")),
        ("queue", "retry_delay", 3.0),
        ("queue", "max_retries", 10),
        ("queue", "stomp_username", "ada"),
        ("queue", "stomp_server", ()),
        ("group:slow", "children", 3),
        ("group:main", "queues", ()),
        ("sites", "dir", None),
        ("handlers", "resize", "package.Resize"),
        ("handlers", "nothing", None),
        ("handler:resize", "timeout", 60.0),
        ("handler:resize", "max_retries", 2),
        ("handler:resize", "quality", "80"),
        ("handler:resize", "where", None),
        ("app:media", "dir", "/srv"),
        ("app:media", "url", None),
        ("app:other", "url", None),
    ],
)
def test_values_come_as_the_settings_have_them(settings: Settings, section: str, key: str, value: object) -> None:
    assert value_of(settings, section, key) == value


@pytest.mark.parametrize(
    ("section", "key", "message"),
    [
        ("snqd", "drain_timout", r"section \[snqd\] has no key drain_timout.*drain_timeout"),
        ("snqd", "memory_limit_bytes", "has no key"),
        ("queue", "retry", "has no key"),
        ("group:fast", "children", r"/etc/snq.ini has no section \[group:fast\]"),
        ("handler:greet", "timeout", r"has no section \[handler:greet\]"),
        ("que", "lease", r"no section \[que\] to read.*queue"),
        ("snqd:x", "id", "no section"),
        ("app", "dir", "no section"),
        ("site:alpha", "server", "no section"),
    ],
)
def test_what_is_not_there_is_refused(settings: Settings, section: str, key: str, message: str) -> None:
    with pytest.raises(UnknownKey, match=message):
        value_of(settings, section, key)


@pytest.mark.parametrize(
    ("section", "kind"), [("snqd", SNQD), ("queue", QUEUE), ("group:slow", GROUP), ("handler:resize", HANDLER)]
)
def test_every_key_of_the_schema_has_a_value(settings: Settings, section: str, kind: SectionKind) -> None:
    """A key that the settings hold under another name would read as None."""
    lacking = [key.name for key in kind.keys if value_of(settings, section, key.name) is None]
    assert set(lacking) <= {"redis", "control_key_file", "dead_letter_dir", "stomp_password_file", "concurrency"}
