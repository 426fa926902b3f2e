"""What README promises: the demo's configuration runs as it is."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from farm import CHECKOUT, TWISTD, Farm, alive
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


def test_the_daemon_goes_to_the_background_as_the_card_has_it(make_farm: Callable[..., Farm]) -> None:
    """``twistd snqd --config etc/snq.ini``, word for word, in a folder that has this file."""
    farm = demo(make_farm)
    (farm.folder / "etc").mkdir()
    farm.config = farm.config.rename(farm.folder / "etc" / "snq.ini")
    twistd = subprocess.run(
        [*TWISTD, "snqd", "--config", "etc/snq.ini"],
        cwd=farm.folder,
        env=farm.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert twistd.returncode == 0, twistd.stderr
    wait_until(farm.ready, 30, "a ready daemon")
    pid = int((farm.folder / "twistd.pid").read_text())
    assert farm.daemon_pid == pid
    assert farm.snqctl("enqueue", "beta", "greet", '{"name": "Ada"}').returncode == 0
    wait_until(lambda: farm.queue("greet")["handled"] == 1, 30, "a greeting")
    assert farm.snqctl("stop").returncode == 0
    wait_until(lambda: not alive(pid), 45, "the daemon's end")
    assert not farm.processes()
    assert not (farm.folder / "twistd.pid").exists()
    assert "Ada from beta" in (farm.folder / "twistd.log").read_text()
