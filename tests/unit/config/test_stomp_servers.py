"""Brokers in the configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from snqd.config.settings import Settings
from snqd.config.stomp_servers import brokers, management_url
from snqd.config.values import BadValue

SERVERS = [
    "localhost",
    "broker.example:61613",
    "[::1]:61613",
    "tcp://broker.example:61613",
    "stomp+ssl://broker.example",
    "unix:/run/stomp.sock",
    "tls:broker.example:61614:trustRoots=/etc/ssl/farm",
]


def test_every_form_of_a_broker_and_several() -> None:
    assert brokers(", ".join(SERVERS)) == tuple(SERVERS)


WRONG = ["http://broker", "broker:0", "broker:70000", "tcp://user:secret@broker", "broker path", "exec:ls", ",", "a, a"]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_broker_is_refused(text: str) -> None:
    with pytest.raises(BadValue, match=r"is no broker|names no broker|names a twice"):
        brokers(text)


@pytest.mark.parametrize("text", ["http://127.0.0.1:15672", "https://me:it%40@broker.example/rabbit"])
def test_the_url_of_a_management_api_is_kept_as_it_is(text: str) -> None:
    assert management_url(text) == text


NO_URLS = ["127.0.0.1:15672", "tcp://a:1", "http://", "http://me:secret@a:x", "http://a b", "http://a?b"]


@pytest.mark.parametrize("text", NO_URLS)
def test_any_other_is_refused_without_its_password(text: str) -> None:
    with pytest.raises(BadValue, match="no URL of RabbitMQ's management API") as refused:
        management_url(text)
    assert "secret" not in str(refused.value)


def test_settings(settings_of: Callable[..., Settings]) -> None:
    settings = settings_of(
        "[queue]\nsubsystem = stomp\nstomp_server = a:1, b:2\nstomp_username = me\nstomp_password_file = secret\n"
        "stomp_manual_failover = no\nstomp_enqueue_on = b:2\nqueue_basename = /queue/statusnet.\n"
        "stomp_vhost = farm\n"
    )
    stomp = settings.queue.stomp
    assert (stomp.servers, stomp.enqueue_on, stomp.manual_failover) == (("a:1", "b:2"), "b:2", False)
    assert (stomp.username, stomp.password_file, stomp.vhost) == ("me", Path("/etc/secret"), "farm")
    assert settings_of("[queue]\nstomp_vhost =\n").queue.stomp.vhost == "/"
    assert settings.queue.queue_basename == "/queue/statusnet."


PROBLEMS = [
    ("subsystem = stomp", "[queue] stomp_server: subsystem stomp needs it"),
    ("stomp_server = a:1\nstomp_enqueue_on = b:2", "[queue] stomp_enqueue_on: stomp_server lists a:1"),
    ("stomp_password = x\nstomp_password_file = y", "[queue] stomp_password_file: stomp_password is set as well"),
    ("stomp_transactions = yes", "unknown key"),
]


@pytest.mark.parametrize(("lines", "problem"), PROBLEMS)
def test_problems_name_the_key(problems_of: Callable[..., list[str]], lines: str, problem: str) -> None:
    (found,) = problems_of(f"[queue]\n{lines}\n")
    assert problem in found


def test_the_password_is_not_shown(settings_of: Callable[..., Settings]) -> None:
    settings = settings_of("[queue]\nstomp_password = geheim\n")
    assert "geheim" not in repr(settings)
