"""``[queue] breakout`` and ``wire``."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from snqd.config.settings import Settings
from snqd.config.values import BadValue, breakouts, group_of_breakout

BASE = "[handlers]\nmail = exec: true\nfeed = exec: true\nquiet = off\n[group:slow]\nqueues = feed\n"


def test_breakouts_are_kept_by_queue_and_site_as_they_are_written() -> None:
    read = breakouts("main/mail, main/mail/alpha,slow:feed")
    assert read == {("mail", ""): "main/mail", ("mail", "alpha"): "main/mail/alpha", ("feed", ""): "slow:feed"}
    assert [group_of_breakout(name) for name in read.values()] == ["main", "main", "slow"]


BAD = [
    ("main", "'main' is no breakout: write group/queue or group/queue/site"),
    ("main/mail/alpha/x", "is no breakout"),
    ("main/mail:alpha", "is no breakout"),
    ("main//mail", "is no breakout"),
    ("main/mail, main:mail", "main/mail and main:mail are of the same jobs: remove one of the two"),
]


@pytest.mark.parametrize(("text", "problem"), BAD)
def test_what_is_no_breakout_is_refused(text: str, problem: str) -> None:
    with pytest.raises(BadValue, match=problem):
        breakouts(text)


UNKNOWN = [
    ("mian/mail", "mian/mail: there is no group mian (did you mean main?): name one of main, slow"),
    ("main/mial", "main/mial: no handler is configured for queue mial (did you mean mail?): add [handlers] mial"),
    ("main/quiet", "main/quiet: [handlers] switches quiet off: remove it here, or there"),
    ("main/feed/alpha", "main/feed/alpha: queue feed is of group slow: write slow/feed/alpha"),
    ("main:feed", "main:feed: queue feed is of group slow: write slow:feed"),
]


@pytest.mark.parametrize(("name", "problem"), UNKNOWN)
def test_a_group_or_queue_that_is_not_there_is_named_with_its_place(
    problems_of: Callable[..., list[str]], name: str, problem: str
) -> None:
    (line,) = problems_of(f"[queue]\nbreakout = main/mail/alpha, {name}\n{BASE}")
    assert line.startswith(f"/etc/snq.ini:2: [queue] breakout: {problem}")


def test_own_jobs_are_written_in_json_where_no_broker_holds_them(settings_of: Callable[..., Settings]) -> None:
    def wire_of_jobs(text: str) -> str:
        return settings_of(f"[queue]\nwire = php-base64\n{text}\n{BASE}").queue.wire_of_jobs

    assert wire_of_jobs("subsystem = stomp\nstomp_server = 127.0.0.1:1") == "php-base64"
    assert wire_of_jobs("") == "json"
    assert wire_of_jobs("subsystem = stomp\nstomp_server = 127.0.0.1:1\nenabled = no") == "json"


def test_a_wire_that_is_not_there_is_refused(problems_of: Callable[..., list[str]]) -> None:
    assert problems_of(f"[queue]\nwire = xml\n{BASE}") == [
        "/etc/snq.ini:2: [queue] wire: 'xml' is not supported; use json or php or php-base64"
    ]
