"""Which events are logged before anybody has asked for others."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.logger import Logger

from snqd.pipe.log_levels import LogLevels

RETRIES = "twisted.application._client_service.ClientService"


def seen(levels: LogLevels, namespace: str) -> list[str]:
    events: list[Any] = []
    log = Logger(namespace, observer=levels.filtering(events.append))
    log.info("an attempt")
    log.warn("a warning")
    return [event["log_format"] for event in events]


@pytest.mark.parametrize(
    ("namespace", "expected"), [("twisted.web", ["an attempt", "a warning"]), (RETRIES, ["a warning"])]
)
def test_each_attempt_to_connect_is_not_worth_a_line(namespace: str, expected: list[str]) -> None:
    assert seen(LogLevels(), namespace) == expected


def test_attempts_are_logged_where_somebody_asks_for_them() -> None:
    levels = LogLevels()
    levels.set("twisted.application._client_service", "info")
    assert seen(levels, RETRIES) == ["an attempt", "a warning"]
