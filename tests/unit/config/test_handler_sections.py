"""[handlers], [handler:QUEUE] and entry points."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from snqd.config import load
from snqd.config.settings import HandlerSettings, Settings
from snqd.config.sources import Sources
from snqd.core.retry import RetryPolicy

Load = Callable[..., Settings]
Problems = Callable[..., list[str]]


def test_a_handler_has_what_the_queues_have_in_common(settings_of: Load) -> None:
    settings = settings_of("[queue]\ntimeout = 5\nmax_retries = 3\n[handlers]\ngreet = pkg.mod:Greet\n")
    assert settings.handlers == {
        "greet": HandlerSettings(
            "greet", "pkg.mod.Greet", timeout=5.0, max_retries=3, where="/etc/snq.ini:5: [handlers] greet"
        )
    }
    assert settings.handlers["greet"].retry == RetryPolicy(3, 15.0, 3600.0)


def test_a_section_of_its_own_wins(settings_of: Load) -> None:
    handler = settings_of(
        "[handlers]\nq = a.B\n[handler:q]\nconcurrency = 2\nthreads = 4\ntimeout = 1m\nmax_retries = 0\n"
        "retry_delay = 0\nweight = 0.5\nordered = site\n"
        "http_allow = 10.0.0.0/8, ::1\nSize = 100x100\nempty =\nsmtp.host = h\n"
    ).handlers["q"]
    assert (handler.concurrency, handler.threads, handler.timeout, handler.weight) == (2, 4, 60.0, 0.5)
    assert handler.retry == RetryPolicy(0, 0.0, 3600.0)
    assert (handler.ordered, handler.http_allow) == (True, ("10.0.0.0/8", "::1/128"))
    assert handler.options == {"Size": "100x100", "smtp.host": "h"}
    assert [key for key in ("max_retries", "retry_delay", "timeout") if handler.sets(key)] == [
        "max_retries",
        "retry_delay",
        "timeout",
    ]


def test_packages_handle_what_the_configuration_does_not_name(settings_of: Load) -> None:
    plugins = {"a": "p.q:A", "b": "p.q:B", "c": "p.q:C", "d": "p.q:D"}
    handlers = settings_of("[handlers]\nz = c\nb = off\na = other.A\nd =\n", plugins=plugins).handlers
    assert [(name, handler.target) for name, handler in handlers.items()] == [
        ("z", "p.q.C"),
        ("a", "other.A"),
        ("c", "p.q.C"),
        ("d", "p.q.D"),
    ]
    assert handlers["c"].where == "entry point c of snqd.handlers"


def test_installed_packages_are_looked_for_where_none_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "installed_handlers", lambda: {"a": "p.q:A"})
    settings = load.load(Sources(Path("/etc/snq.ini"), {"/etc/snq.ini": ""}))
    assert settings.handlers["a"].target == "p.q.A"


def test_a_section_may_stay_while_its_handler_is_off(settings_of: Load) -> None:
    assert settings_of("[handlers]\nq = off\n[handler:q]\ntimeout = 5\n").handlers == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "[handlers]\na b = x.Y\n",
            ":2: [handlers] a b: 'a b' is no queue name: 1 to 64 ASCII letters, digits, '_', '.' and '-', "
            "beginning with a letter, a digit or '_'; rename it",
        ),
        ("[handlers]\nq = exec:\n", ":2: [handlers] q: no command follows exec: write exec: /path/to/command"),
        (
            "[handlers]\ngreet = a.B\n[handler:gret]\n",
            ":3: [handler:gret]: no handler is configured for queue gret (did you mean greet?): "
            "add [handlers] gret or remove the section",
        ),
        (
            "[handlers]\nq = a.B\n[handler:q]\nconcurrency = 1001\n",
            ":4: [handler:q] concurrency: 1001 is out of range: write 1 to 1000",
        ),
        (
            "[handlers]\nq = a.B\n[handler:q]\nthreads = 257\n",
            ":4: [handler:q] threads: 257 is out of range: write 0 to 256",
        ),
        (
            "[handlers]\nq = a.B\n[handler:q]\nweight = 0\n",
            ":4: [handler:q] weight: 0 is out of range: write 0.001 to 1000",
        ),
        (
            "[handlers]\nq = a.B\n[handler:q]\nordered = yes\n",
            ":4: [handler:q] ordered: 'yes' is not supported; use no or site",
        ),
        (
            "[handlers]\nq = exec: true\n[handler:q]\nconcurency = 5\n",
            ":4: [handler:q] concurency: unknown key (did you mean concurrency?): correct or remove it",
        ),
        (
            "[handlers]\nq = https://a.example/\n[site:a]\nhandler:q.colour = red\n",
            ":4: [site:a] handler:q.colour: unknown key: correct or remove it",
        ),
        ("[handlers]\nq = a.B\n[handler:q]\nTimeout = 5\n", ":4: [handler:q] Timeout: unknown key: write timeout"),
        (
            "[handlers]\nq = a.B\n[handler:q]\nretry_delay = 2h\n",
            ":4: [handler:q] retry_delay: 7200 seconds are more than the retry_max_delay that applies, 3600: "
            "lower the one or raise the other",
        ),
    ],
)
def test_a_wrong_handler_is_refused(problems_of: Problems, text: str, problem: str) -> None:
    assert problems_of(text) == [f"/etc/snq.ini{problem}"]


def test_a_wrong_target_is_told_once_although_groups_and_sites_name_its_queue(problems_of: Problems) -> None:
    text = "[handlers]\nq = exec:\n[handler:q]\ntimeout = 5\n[group:g]\nqueues = q\n[site:s]\nhandlers.q = off\n"
    assert len(problems_of(text)) == 1


@pytest.mark.parametrize(
    ("plugins", "problem"),
    [
        (
            {"q": "a.b:C, d.e:F"},
            "[handlers] q: entry point of snqd.handlers: "
            "several packages handle it (a.b:C, d.e:F): choose one in [handlers]",
        ),
        (
            {"q": "a.b"},
            "[handlers] q: entry point of snqd.handlers: "
            "its package registers 'a.b', which is no class (module:Class): choose another",
        ),
        (
            {"q q": "a.b:C"},
            "[handlers] q q: entry point of snqd.handlers: 'q q' is no queue name: 1 to 64 ASCII letters, digits, "
            "'_', '.' and '-', beginning with a letter, a digit or '_'",
        ),
    ],
)
def test_a_wrong_entry_point_is_refused(problems_of: Problems, plugins: dict[str, str], problem: str) -> None:
    assert problems_of("[handlers]\n", plugins=plugins) == [f"/etc/snq.ini:1: {problem}"]


def test_the_configuration_settles_what_packages_disagree_on(settings_of: Load) -> None:
    settings = settings_of("[handlers]\nq = d.e:F\n", plugins={"q": "a.b:C, d.e:F"})
    assert settings.handlers["q"].target == "d.e.F"
