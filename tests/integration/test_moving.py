"""docs/moving.rst, step by step: a snqd daemon and PHP's on one broker, which share the work and hand it over."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from farm import Farm
from waiting import wait_until

from tests.servers.activemq import ActiveMq
from tests.servers.broker import Broker, running
from tests.servers.php_daemon import GNUSOCIAL, STATUSNET, Kind, PhpDaemon, send
from tests.servers.rabbitmq import RabbitMq

# What each PHP program is moved from on which broker: the original's default names need ActiveMQ.
WAYS = [
    pytest.param((RabbitMq, GNUSOCIAL, "php-base64", "/queue/{}."), id="gnusocial-rabbitmq"),
    pytest.param((ActiveMq, STATUSNET, "php", "/queue/{}/"), id="statusnet-activemq"),
]


class Move:
    """One farm's move.

    :ivar sent: how many jobs its sites have sent.
    """

    def __init__(self, broker: Broker, kind: Kind, base: str, farm: Farm) -> None:
        self.broker = broker
        self.kind = kind
        self.base = base
        self.farm = farm
        self.sent = 0

    def php_daemon(self) -> PhpDaemon:
        """One that serves the group main."""
        return PhpDaemon(self.broker, [f"{self.base}main"], ["note", "chain"], self.kind)

    def php_site_sends(self, group: str, queue: str, number: int, **payload: object) -> None:
        """Jobs that say which they are."""
        for _ in range(number):
            self.sent += 1
            send(self.broker, f"{self.base}{group}", "alpha", queue, {"n": self.sent, **payload}, self.kind)

    def serve_main(self, children: int) -> None:
        """Change the number of children that serve the group main, while the daemon runs."""
        text = self.farm.config.read_text()
        before = f"[group:main]\nchildren = {1 - children}\n"
        assert before in text
        self.farm.config.write_text(text.replace(before, f"[group:main]\nchildren = {children}\n"))
        answer = self.farm.snqctl("update")
        assert answer.returncode == 0, answer.stderr
        wait_until(lambda: len(self.children_of("main")) == children, 30, "the group to follow")

    def children_of(self, group: str) -> list[Any]:
        """Those that are up, or on their way out."""
        return next(each["children"] for each in self.farm.status()["groups"] if each["name"] == group)

    def by_snqd(self, queue: str) -> int:
        """How many jobs snqd has handled; none of them twice."""
        ended = [run.job for run in self.farm.journal.runs(queue) if run.ended is not None]
        assert len(set(ended)) == len(ended)
        return len(ended)


@pytest.fixture(params=WAYS)
def move(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Move]]:
    """Begins a move, with the keys that the daemon's configuration has besides."""
    kind_of_broker, kind, wire, base_of = request.param
    if kind_of_broker.missing() and not os.environ.get("CI"):
        pytest.skip(f"needs {kind_of_broker.missing()}")
    broker = running(kind_of_broker)
    base = base_of.format(tmp_path.name)
    queue = {
        "subsystem": "stomp",
        "stomp_server": f"127.0.0.1:{broker.port}",
        "stomp_username": broker.username,
        "stomp_password": broker.password,
        "queue_basename": base,
        "wire": wire,
    }
    farms: list[Farm] = []

    def begin(**sections: dict[str, object]) -> Move:
        farms.append(Farm(tmp_path, sections={**sections, "queue": queue, "snqd": {"threads": 1}}))
        return Move(broker, kind, base, farms[-1])

    yield begin
    for farm in farms:
        farm.close()


def numbers(php: PhpDaemon, queue: str) -> list[int]:
    """Which jobs of the PHP site it has handled."""
    return [payload["n"] for name, payload in php.handled if name == queue and "n" in payload]


def test_both_daemons_share_a_group_and_each_job_is_handled_once(move: Callable[..., Move]) -> None:
    moving = move()
    moving.farm.start()
    php = moving.php_daemon()
    moving.farm.enqueue("beta", "note", "-", input='{"n": 0, "seconds": 0.02}\n' * 80)
    moving.php_site_sends("main", "note", 60, seconds=0.02)
    wait_until(lambda: moving.by_snqd("note") + len(php.handled) >= 140, 30, "the end of all jobs")
    php.stop()
    assert moving.by_snqd("note") + len(php.handled) == 140
    assert php.dropped == []
    assert moving.by_snqd("note") > 0
    own = [n for n in numbers(php, "note") if n]
    assert len(set(own)) == len(own)
    assert moving.farm.dead() == []


def test_queues_are_taken_over_one_by_one_then_the_group_and_all_is_given_back(move: Callable[..., Move]) -> None:
    moving = move(
        **{"group:main": {"children": 0}, "group:snqd": {"queues": "chain", "children": 1}},
    )
    farm = moving.farm
    php = moving.php_daemon()
    farm.start()
    # The farm's daemon runs beside PHP's and takes nothing from it.
    moving.php_site_sends("main", "note", 5)
    farm.enqueue("beta", "note", '{"n": 0}')
    wait_until(lambda: len(php.handled) == 6, 20, "PHP's daemon to handle all")
    # One queue has a group of its own now; what it enqueues is PHP's work still.
    moving.php_site_sends("snqd", "chain", 4, notes=2)
    wait_until(lambda: len(php.handled) == 6 + 8, 20, "PHP's daemon to handle what snqd has enqueued")
    assert moving.by_snqd("chain") == 4
    # The rest of the group: PHP's daemon ends, snqd's children come up.
    php.stop()
    moving.php_site_sends("main", "note", 3)
    moving.serve_main(1)
    moving.php_site_sends("main", "note", 3)
    wait_until(lambda: moving.by_snqd("note") == 6, 20, "snqd to handle what is left, and what comes")
    # And back.
    moving.serve_main(0)
    moving.php_site_sends("main", "note", 3)
    php_again = moving.php_daemon()
    wait_until(lambda: len(php_again.handled) == 3, 20, "PHP's daemon to handle them again")
    php_again.stop()
    assert moving.by_snqd("note") == 6
    assert php.dropped == php_again.dropped == []
    assert farm.dead() == []
