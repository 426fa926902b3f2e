"""load(): [snqd] and [queue], precedence, paths, unknown names, and one error for everything."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from snqd.config.load import Overrides
from snqd.config.redis_address import RedisAddress
from snqd.config.settings import Settings
from snqd.core.retry import RetryPolicy

Load = Callable[..., Settings]
Problems = Callable[..., list[str]]


def test_an_empty_file_gives_the_defaults(settings_of: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5})
    monkeypatch.setattr(socket, "gethostname", lambda: "host.example")
    settings = settings_of("")
    daemon, queue = settings.daemon, settings.queue
    assert settings.path == Path("/etc/snq.ini")
    assert (daemon.id, daemon.threads) == ("host.example", 3)
    assert (daemon.state_dir, daemon.control) == (Path("/etc/state"), Path("/etc/state/control.sock"))
    assert (daemon.drain_timeout, daemon.hang_timeout, daemon.respawn_max_delay) == (25.0, 60.0, 30.0)
    assert (queue.enabled, queue.subsystem, queue.monitor, queue.dead_letter_dir) == (True, "db", "", None)
    assert (queue.db, queue.db_file) == ("sqlite:////etc/state/queue.db", Path("/etc/state/queue.db"))
    assert (queue.morgue, queue.morgue_file) == ("sqlite:////etc/state/morgue.db", Path("/etc/state/morgue.db"))
    assert (queue.spawndelay, queue.concurrency, queue.timeout, queue.lease) == (1.0, 50, 600.0, 60.0)
    assert queue.retry == RetryPolicy(10, 15.0, 3600.0)
    assert (settings.handlers, settings.sites, settings.apps) == ({}, {}, {})


def test_an_empty_value_is_the_default(settings_of: Load) -> None:
    settings = settings_of("[snqd]\nstate_dir =\ndrain_timeout =\n[queue]\nconcurrency =\n[handlers]\nq =\n")
    assert settings.daemon.state_dir == Path("/etc/state")
    assert settings.daemon.drain_timeout == 25.0
    assert settings.queue.concurrency == 50
    assert settings.handlers == {}


def test_every_key_of_the_daemon_and_the_queues_is_read(settings_of: Load) -> None:
    settings = settings_of(
        "[snqd]\nid = one\nstate_dir = /var/snqd\ncontrol = /run/snqd.sock\nthreads = 3\ndrain_timeout = 1m\n"
        "hang_timeout = 2m\nrespawn_max_delay = 10\n"
        "[queue]\nenabled = no\nsubsystem = db\ndb = sqlite:////var/q.db\nmorgue = sqlite:///../m.db\n"
        "dead_letter_dir = STATE_DIR/dead\nconcurrency = 7\ntimeout = 5\nlease = 6\nmax_retries = 0\nretry_delay = 0\n"
        "retry_max_delay = 1h\nspawndelay = 0.5\nmonitor = udp://127.0.0.1:3000\n"
    )
    daemon, queue = settings.daemon, settings.queue
    assert (daemon.id, daemon.state_dir, daemon.control) == ("one", Path("/var/snqd"), Path("/run/snqd.sock"))
    assert (daemon.threads, daemon.drain_timeout, daemon.hang_timeout, daemon.respawn_max_delay) == (3, 60, 120, 10)
    assert (queue.enabled, queue.subsystem, queue.monitor) == (False, "db", "udp://127.0.0.1:3000")
    assert (queue.db_file, queue.morgue_file) == (Path("/var/q.db"), Path("/m.db"))
    assert queue.dead_letter_dir == Path("/var/snqd/dead")
    assert (queue.concurrency, queue.timeout, queue.lease, queue.spawndelay) == (7, 5.0, 6.0, 0.5)
    assert queue.retry == RetryPolicy(0, 0.0, 3600.0)


def test_state_dir_moves_what_lies_in_it(settings_of: Load) -> None:
    settings = settings_of("[snqd]\nstate_dir = ../var\n")
    assert settings.daemon.control == Path("/var/control.sock")
    assert settings.queue.db_file == Path("/var/queue.db")
    assert settings.queue.morgue_file == Path("/var/morgue.db")


@pytest.mark.parametrize(
    ("threads", "children", "option", "expected"),
    [
        ("auto", "", None, 2),
        ("5", "", None, 5),
        ("5", "4", None, 4),
        ("5", "4", 3, 3),
        ("5", "0", 3, 3),
        ("5", "", 3, 3),
    ],
)
def test_threads_comes_from_the_option_then_the_group_then_the_daemon(
    settings_of: Load, monkeypatch: pytest.MonkeyPatch, threads: str, children: str, option: int | None, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
    text = f"[snqd]\nthreads = {threads}\n[group:main]\nchildren = {children}\n"
    settings = settings_of(text, overrides=Overrides(threads=option))
    assert settings.daemon.threads == settings.groups["main"].children == expected


def test_the_option_id_wins(settings_of: Load) -> None:
    assert settings_of("[snqd]\nid = one\n", overrides=Overrides(id="two")).daemon.id == "two"


def test_wrong_options_are_named(problems_of: Problems) -> None:
    assert problems_of("", overrides=Overrides(threads=0, id="a b")) == [
        "--threads: 0 is out of range: write 1 to 1000",
        "--id: 'a b' is no id: write 1 to 64 ASCII letters, digits, '_', '.' and '-'",
    ]


def test_a_host_name_that_is_no_id_asks_for_one(problems_of: Problems, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "my host")
    assert problems_of("") == ["/etc/snq.ini: [snqd] id: the host's name 'my host' can't serve as id: set one"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[snqd]\nthreads = 0\n", ":2: [snqd] threads: 0 is out of range: write 1 to 1000"),
        ("[snqd]\ndrain_timeout = 0\n", ":2: [snqd] drain_timeout: 0 is out of range: write 0.001 to 31536000 seconds"),
        ("[snqd]\nthread = 1\n", ":2: [snqd] thread: unknown key (did you mean threads?): correct or remove it"),
        ("[snqd]\nThreads = 1\n", ":2: [snqd] Threads: unknown key (did you mean threads?): correct or remove it"),
        ("[snqd]\nzzz = 1\n", ":2: [snqd] zzz: unknown key: correct or remove it"),
        ("[snqd]\nzzz =\n", ":2: [snqd] zzz: unknown key: correct or remove it"),
        ("[queue]\nconcurrency = 1001\n", ":2: [queue] concurrency: 1001 is out of range: write 1 to 1000"),
        ("[queue]\nconcurrency = 0\n", ":2: [queue] concurrency: 0 is out of range: write 1 to 1000"),
        ("[queue]\ntimeout = 0s\n", ":2: [queue] timeout: 0s is out of range: write 0.001 to 31536000 seconds"),
        ("[queue]\nlease = 0.5\n", ":2: [queue] lease: 0.5 is out of range: write 1 to 31536000 seconds"),
        ("[queue]\nmax_retries = -1\n", ":2: [queue] max_retries: -1 is out of range: write 0 to 10000"),
        ("[queue]\nsubsystem = disk\n", ":2: [queue] subsystem: 'disk' is not supported; use db or redis or stomp"),
        (
            "[queue]\nsubsystem = redis\n",
            ":1: [queue] redis: subsystem redis needs it: name the Redis, such as redis://127.0.0.1:6379/0",
        ),
        (
            "[queue]\nredis = localhost\n",
            ":2: [queue] redis: it is no URL of a Redis: write redis://user:password@host:port/db, "
            "rediss://user:password@host:port/db?ca=/path, unix:///path?db=0, or redis+sentinel://user:password@host:port,host:port/service/db",
        ),
        (
            "[queue]\nforeign = celery\n",
            ":2: [queue] foreign: 'celery' is not supported; use gnusocial-db or gnusocial-redis",
        ),
        (
            "[queue]\nforeign = gnusocial-redis\n",
            ":2: [queue] foreign: gnusocial-redis needs subsystem redis, on GNU social's own Redis: set it so",
        ),
        ("[queue]\nworkers = 5\n", ":2: [queue] workers: unknown key: correct or remove it"),
        (
            "[queue]\ndb = oracle://h/q\n",
            ":2: [queue] db: 'oracle' is no kind of database: write sqlite:///path, "
            "or postgresql://user@host/database or mariadb://user@host/database",
        ),
        (
            "[queue]\nmorgue = sqlite:///STATE_DIR/queue.db\n",
            ":2: [queue] morgue: names the file of db, /etc/state/queue.db: give the morgue a file of its own",
        ),
        (
            "[queue]\nretry_delay = 2h\n",
            ":2: [queue] retry_delay: 7200 seconds are more than the retry_max_delay that applies, 3600: "
            "lower the one or raise the other",
        ),
        (
            "[snqd]\nstate_dir = STATE_DIR/x\n",
            ":2: [snqd] state_dir: is defined by itself: name a folder instead of STATE_DIR",
        ),
        (
            f"[snqd]\ncontrol = /{'s' * 99}\n",
            f":2: [snqd] control: /{'s' * 99} has 100 bytes, a Unix socket's path 99 at most: "
            "set control to a shorter path, such as /run/snqd.sock",
        ),
        (
            f"[snqd]\nstate_dir = /{'é' * 43}\n",
            f":1: [snqd] control: /{'é' * 43}/control.sock has 100 bytes, a Unix socket's path 99 at most: "
            "set control to a shorter path, such as /run/snqd.sock",
        ),
        ("[snqd]\n[snqd]\n", ":2: [snqd] is there already, in line 1: put its keys together in one section"),
        ("[queu]\n", ":1: [queu]: unknown section (did you mean [queue]?): correct or remove it"),
        (
            "[handlr:greet]\n",
            ":1: [handlr:greet]: unknown section (did you mean [handler:greet]?): correct or remove it",
        ),
        ("[snqd:x]\n", ":1: [snqd:x]: unknown section (did you mean [snqd]?): correct or remove it"),
        ("[group]\n", ":1: [group]: unknown section (did you mean [group:NAME]?): correct or remove it"),
        ("[xmpp]\n", ":1: [xmpp]: unknown section: correct or remove it"),
        (
            "[site:a/b]\n",
            ":1: [site:a/b]: 'a/b' is no site name: 1 to 64 ASCII letters, digits, '_', '.' and '-', "
            "beginning with a letter, a digit or '_'; rename it",
        ),
        (
            "[app:a.b]\n",
            ":1: [app:a.b]: 'a.b' is no name of an app: use at least one character, and no dot; rename it",
        ),
        ("rubbish\n", ":1: is no setting: write key = value, or indent a line that continues a value"),
    ],
)
def test_a_wrong_line_is_refused_with_its_place(problems_of: Problems, text: str, problem: str) -> None:
    assert problems_of(text) == [f"/etc/snq.ini{problem}"]


def test_a_delay_that_a_lower_limit_cuts_by_default_is_no_error(settings_of: Load) -> None:
    assert settings_of("[queue]\nretry_max_delay = 10\n").queue.retry == RetryPolicy(10, 15.0, 10.0)


def test_one_error_lists_everything_by_file_and_line(problems_of: Problems) -> None:
    problems = problems_of(
        "[queue]\nlease = x\n[snqd]\nthreads = x\nnonsense\n[zzz]\n[site:a]\nweight = 0\n",
        {"/etc/sites.d/b.ini": "[site:b]\nweight = x\n", "/etc/sites.d/c.ini": ""},
    )
    assert [problem.split(": ")[0] for problem in problems] == [
        "/etc/snq.ini:2",
        "/etc/snq.ini:4",
        "/etc/snq.ini:5",
        "/etc/snq.ini:6",
        "/etc/snq.ini:8",
        "/etc/sites.d/b.ini:2",
        "/etc/sites.d/c.ini",
    ]


def test_keys_of_a_refused_section_are_not_reported_as_well(problems_of: Problems) -> None:
    assert len(problems_of("[zzz]\na = 1\nb = 2\n")) == 1


def test_a_redis_is_read_with_the_names_and_foreign_queues_that_belong_to_it(settings_of: Load) -> None:
    queue = settings_of(
        "[queue]\nsubsystem = redis\nredis = redis://:pw@h/1\nqueue_basename = /queue/farm.\n"
        "foreign = gnusocial-redis\n"
    ).queue
    assert queue.redis == RedisAddress((("h", 6379),), db=1, password="pw")
    assert (queue.queue_basename, queue.foreign) == ("/queue/farm.", ("gnusocial-redis",))
