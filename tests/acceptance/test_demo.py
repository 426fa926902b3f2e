"""What README promises: the demo's configuration runs as it is."""

from __future__ import annotations

from collections.abc import Callable

from farm import CHECKOUT, Farm
from waiting import wait_until


def demo(make_farm: Callable[..., Farm]) -> Farm:
    return make_farm(source=(CHECKOUT / "etc" / "snq.ini").read_text())


def test_a_thousand_greetings_are_handled(make_farm: Callable[..., Farm]) -> None:
    farm = demo(make_farm)
    farm.start()
    sent = farm.snqctl("enqueue", "alpha", "greet", '{"name": "Ada"}', "--count", 1000)
    assert (sent.returncode, sent.stdout) == (0, "accepted 1000 jobs\n")
    wait_until(lambda: farm.queue("greet")["handled"] == 1000, 30, "1000 handled greetings")
    assert farm.queue("greet")["waiting"] == 0
    shown = farm.snqctl("status")
    assert shown.returncode == 0
    assert "greet" in shown.stdout


def test_a_resize_is_followed_by_a_greeting(make_farm: Callable[..., Farm]) -> None:
    farm = demo(make_farm)
    farm.start()
    farm.enqueue("beta", "resize", "{}")
    wait_until(lambda: farm.queue("greet")["handled"] == 1, 30, "the greeting that follows a resize")
    assert farm.queue("resize")["handled"] == 1


def test_the_demo_is_checked_without_a_daemon(make_farm: Callable[..., Farm]) -> None:
    farm = demo(make_farm)
    answer = farm.snqctl("check")
    assert answer.returncode == 0, answer.stderr
    assert farm.snqctl("status", "--json").returncode == 1
