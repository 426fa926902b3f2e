"""What systemd hears of a real daemon, over a real socket."""

from __future__ import annotations

import secrets
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from farm import Farm
from notify_listener import Listener
from waiting import wait_until


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """A manager that wants to hear of progress every three seconds."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@snqd-test-{secrets.token_hex(8)}"
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    made = Listener(name.replace("@", "\0", 1) if name.startswith("@") else name)
    yield made
    made.close()


def test_systemd_hears_of_the_daemons_life(listener: Listener, make_farm: Callable[..., Farm]) -> None:
    farm = make_farm()
    farm.spawn("-n", "--pidfile=")
    wait_until(lambda: listener.heard("READY=1"), 30, "READY")
    wait_until(farm.ready, 30, "all children")
    wait_until(lambda: "STATUS=2 of 2 children up, 0 jobs running, 0.0/s" in listener.heard("STATUS="), 30, "STATUS")
    wait_until(lambda: len(listener.heard("WATCHDOG=1")) >= 3, 30, "signs of progress")
    farm.stop()
    assert listener.heard("STOPPING=1") == ["STOPPING=1"]
    assert listener.heard("READY=1") == ["READY=1"]


def test_systemd_hears_of_reloads_by_whatever_way(listener: Listener, make_farm: Callable[..., Farm]) -> None:
    farm = make_farm()
    farm.start()
    wait_until(lambda: listener.heard("READY=1"), 30, "READY")
    farm.kill(farm.daemon.pid, signal.SIGHUP)
    wait_until(lambda: len(listener.heard("READY=1")) == 2, 30, "the end of the reload by SIGHUP")
    assert farm.snqctl("update").returncode == 0
    farm.config.write_text(farm.config.read_text() + "\n[nope]\n")
    farm.kill(farm.daemon.pid, signal.SIGHUP)
    wait_until(lambda: len(listener.heard("READY=1")) == 4, 30, "the end of the refused reload")
    states = [message.partition("\n") for message in listener.heard("R")]
    assert [state for state, _, _ in states] == ["READY=1", *["RELOADING=1", "READY=1"] * 3]
    times = [int(usec.removeprefix("MONOTONIC_USEC=")) for _, _, usec in states if usec]
    assert times == sorted(times)
    assert len(times) == 3
    assert 0 < times[0] <= times[-1] <= time.monotonic() * 1e6
