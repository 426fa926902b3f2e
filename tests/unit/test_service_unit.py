"""etc/snqd.service names what exists, and fits what the daemon does."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from snqd import tap
from snqd.config.schema import SNQD
from snqd.daemon.child_slot import STOP_GRACE
from snqd.daemon.systemd import LOOK_EVERY, WATCHDOG_SHARE

UNIT = Path(__file__).parents[2] / "etc" / "snqd.service"


def entries() -> Iterator[tuple[str, str]]:
    for line in UNIT.read_text().splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            yield key, value


def test_the_daemon_is_started_with_options_that_it_has() -> None:
    words = shlex.split(dict(entries())["ExecStart"])
    assert words[1] == "-n"
    options = tap.Options()
    options.parseOptions(words[words.index("snqd") + 1 :])
    assert options["config"] == "/etc/snqd/snq.ini"


def test_it_stops_children_in_time_and_hears_of_progress_in_time() -> None:
    unit = dict(entries())
    assert float(unit["TimeoutStopSec"]) > float(SNQD.defaults["drain_timeout"]) + STOP_GRACE
    assert float(unit["WatchdogSec"]) > LOOK_EVERY * WATCHDOG_SHARE
    assert unit["Type"] == "notify"


def test_it_does_not_take_children_that_are_slow_to_boot_for_a_daemon_that_hangs() -> None:
    assert dict(entries())["TimeoutStartSec"] == "infinity"
