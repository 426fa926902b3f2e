"""Every key of the schema, changed in the file: ``update`` names it as the operator wrote it, once, with when it takes
effect. The table is written by hand: the answer comes from the schema, so the schema can't say what is right.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import globalLogPublisher

from snqd.config.schema import KINDS
from snqd.ops.update_commands import UpdateCommands

Sections = dict[str, dict[str, str]]

HEADINGS = ("now", "after_restart", "after_stop_and_start")
BEFORE: Sections = {
    "snqd": {"id": "t", "threads": "1", "drain_timeout": "20", "hang_timeout": "10", "respawn_max_delay": "30"},
    "queue": {
        "spawndelay": "1",
        "redis": "redis://127.0.0.1:6379/1",
        "stomp_server": "a:1, b:2",
        "stomp_password": "secret",
    },
    "handlers": {"mail": "mail.Mail", "feed": "exec: true", "ping": "exec: true", "film": "exec: true"},
    "group:slow": {"queues": "feed", "children": "2"},
    "group:one": {"queues": "ping"},
    "site:alpha": {},
    "app:x": {"y": "1"},
}
AFTER: Mapping[str, Sections] = {
    "now": {
        "snqd": {
            "threads": "2",
            "drain_timeout": "21",
            "hang_timeout": "11",
            "respawn_max_delay": "31",
            "memory_limit": "512m",
        },
        "queue": {
            "stomp_management": "http://127.0.0.1:15672",
            "breakout": "main/mail",
            "concurrency": "40",
            "timeout": "500",
            "max_retries": "9",
            "retry_delay": "14",
            "retry_max_delay": "3000",
            "spawndelay": "2",
            "softlimit": "80%",
            "debug_memory": "yes",
            "monitor": "udp://127.0.0.1:9",
        },
        "group:slow": {"queues": "feed, film", "children": "3"},
        "handlers": {"mail": "mail.Other"},
        "handler:mail": {
            "concurrency": "5",
            "threads": "2",
            "timeout": "400",
            "max_retries": "8",
            "retry_delay": "13",
            "weight": "2",
            "ordered": "site",
            "http_allow": "10.0.0.0/8",
            "colour": "red",
        },
        "sites": {"dir": "sites.d", "database": "sqlite:///farm.db"},
        "app:x": {"y": "2"},
    },
    "after_restart": {
        "queue": {
            "wire": "php",
            "control_channel": "/topic/other",
            "control_key_file": "control.key",
            "control_unsigned": "yes",
            "foreign_claim_age": "1800",
            "dead_letter_dir": "dead",
            "lease": "30",
        },
    },
    "after_stop_and_start": {
        "snqd": {"id": "u", "state_dir": "elsewhere", "control": "control.sock", "log_format": "json"},
        "queue": {
            "enabled": "no",
            "subsystem": "redis",
            "db": "sqlite:///STATE_DIR/other.db",
            "redis": "redis://127.0.0.1:6379/2",
            "queue_basename": "/queue/other.",
            "stomp_server": "b:2, c:3",
            "stomp_username": "me",
            "stomp_password": "",
            "stomp_password_file": "password",
            "stomp_vhost": "farm",
            "stomp_manual_failover": "no",
            "stomp_enqueue_on": "b:2",
            "foreign": "gnusocial-db",
            "morgue": "sqlite:///STATE_DIR/letters.db",
        },
        "group:one": {"exclusive": "yes"},
    },
}
OF_SITE = {
    "server": "a.example",
    "name": "A",
    "weight": "2",
    "queue.max_retries": "7",
    "queue.retry_delay": "12",
    "queue.retry_max_delay": "2000",
}
EACH = [(heading, title, key) for heading in HEADINGS for title, keys in AFTER[heading].items() for key in keys]
ONLY_TOGETHER = {"stomp_password_file": "stomp_password"}


def changed(*keys: tuple[str, str, str]) -> Sections:
    """:data:`BEFORE` with the new values of some keys."""
    sections = {title: dict(values) for title, values in BEFORE.items()}
    for heading, title, key in keys:
        sections.setdefault(title, {})[key] = AFTER[heading][title][key]
    return sections


def text(sections: Sections) -> str:
    """A file that says `sections`."""
    return "\n".join(
        f"[{title}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())
        for title, keys in sections.items()
    )


def expected(*keys: tuple[str, str, str]) -> dict[str, list[str]]:
    """The names of `keys` under their headings."""
    return {heading: sorted(f"[{title}] {key}" for when, title, key in keys if when == heading) for heading in HEADINGS}


class Update:
    """A daemon that has read :data:`BEFORE`, and the command that an operator gives it."""

    def __init__(self, stage: Any) -> None:
        self.stage = stage(text(BEFORE).partition("spawndelay = 1\n")[2])
        self.stage.started_ready()
        self.commands = UpdateCommands(self.stage.daemon, self.stage.reload(), self, self)  # type: ignore[arg-type]

    def reloading(self) -> None: ...

    def reloaded(self) -> None: ...

    def answer(self, sections: Sections) -> Any:
        """What ``update`` answers when the file says `sections`."""
        self.stage.config.write_text(text(sections))
        return self.stage.done(self.commands.commands()["update"]({}))


@pytest.fixture
def update(stage: Any, tmp_path: Path) -> Update:
    (tmp_path / "sites.d").mkdir()
    (tmp_path / "sites.d" / "beta.ini").write_text("[site:beta]\n")
    with sqlite3.connect(tmp_path / "farm.db") as farm:
        farm.execute("CREATE TABLE status_network (nickname, hostname, modified)")
        farm.execute("INSERT INTO status_network VALUES ('gamma', 'gamma.example', 1)")
    farm.close()
    return Update(stage)


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What the log says of changes."""
    seen: list[str] = []

    def observe(event: Any) -> None:
        if "what" in event:
            seen.append(str(event["what"]))

    globalLogPublisher.addObserver(observe)
    yield seen
    globalLogPublisher.removeObserver(observe)


def named(answer: Any) -> dict[str, list[str]]:
    """The keys that `answer` names, by heading."""
    assert answer["problems"] == []
    return {heading: sorted(answer[heading]) for heading in HEADINGS}


def test_the_table_has_every_key_of_the_schema() -> None:
    free = {("handlers", "mail"), ("handler", "colour"), ("app", "y")}
    here = {(title.partition(":")[0], key) for _, title, key in EACH} | {("site", key) for key in OF_SITE}
    assert here - free == {(kind.name, key.name) for kind in KINDS.values() for key in kind.keys}


def test_the_same_keys_are_no_change(update: Update) -> None:
    assert update.answer(BEFORE)["changed"] is False


def test_all_keys_at_once_are_named_each_once_and_as_they_are_written(update: Update, lines: list[str]) -> None:
    sections = changed(*EACH)
    sections["site:alpha"] = OF_SITE
    answer = update.answer(sections)
    assert named(answer) == expected(*EACH)
    assert answer["sites"] == {"added": ["beta", "gamma"], "changed": ["alpha"], "removed": []}
    (line,) = lines
    assert all(line.count(f"[{title}] {key}") >= 1 for _, title, key in EACH)
    assert line.count("[") == len(EACH)


@pytest.mark.parametrize("key", EACH, ids=lambda key: f"{key[1]}-{key[2]}")
def test_a_key_alone_is_named_alone(update: Update, key: tuple[str, str, str]) -> None:
    heading, title, name = key
    keys = [key, *((heading, title, other) for other in [ONLY_TOGETHER.get(name)] if other)]
    assert named(update.answer(changed(*keys))) == expected(*keys)


@pytest.mark.parametrize("key", OF_SITE)
def test_a_key_of_a_site_changes_the_site(update: Update, key: str) -> None:
    answer = update.answer({**changed(), "site:alpha": {key: OF_SITE[key]}})
    assert named(answer) == expected()
    assert answer["sites"]["changed"] == ["alpha"]


def test_what_waits_for_the_daemons_start_is_named_again_until_then(update: Update) -> None:
    waits = [key for key in EACH if key[0] == "after_stop_and_start"]
    update.answer(changed(*EACH))
    assert named(update.answer(changed(*EACH))) == expected(*waits)
    assert named(update.answer(changed())) == expected(*(key for key in EACH if key not in waits))
