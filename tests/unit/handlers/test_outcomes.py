import math

import pytest

from snqd.core.errors import BadPayload
from snqd.core.outcome import DeadLetter, Retry
from snqd.handlers import Reject, RetryLater
from snqd.handlers.outcomes import MAX_REASON_CHARS, MAX_TRACEBACK_CHARS, outcome_of


def raised(error):
    try:
        raise error
    except type(error) as caught:
        return caught


def test_retry_later_is_a_retry_with_its_delay():
    assert outcome_of(raised(RetryLater(30, "mirror is busy"))) == Retry("mirror is busy", 30)


def test_retry_later_without_a_delay_leaves_it_to_the_policy():
    assert outcome_of(RetryLater()).delay is None


def test_a_time_that_has_passed_is_at_once():
    assert outcome_of(RetryLater(-3)).delay == 0


@pytest.mark.parametrize("delay", [math.inf, math.nan])
def test_a_delay_without_end_is_an_error_of_the_handler(delay):
    with pytest.raises(ValueError, match="finite number of seconds"):
        RetryLater(delay)


def test_reject_is_a_dead_letter():
    assert outcome_of(raised(Reject("no such image"))) == DeadLetter("no such image")


def test_a_payload_that_cannot_be_decoded_is_a_dead_letter():
    assert outcome_of(raised(BadPayload("byte 3: not JSON"))) == DeadLetter("byte 3: not JSON")


def test_what_led_to_a_reject_is_kept():
    error = Reject("no such image")
    error.__cause__ = raised(KeyError("image"))
    assert "KeyError: 'image'" in outcome_of(error).traceback


def test_any_other_error_is_a_retry_with_its_traceback():
    outcome = outcome_of(raised(ConnectionError("mirror is down\nreally")))
    assert (outcome.reason, outcome.delay) == ("ConnectionError: mirror is down", None)
    assert "in raised" in outcome.traceback


def test_an_error_without_a_message_is_named():
    assert outcome_of(KeyError()).reason == "KeyError"


def test_a_long_message_is_cut():
    assert len(outcome_of(ValueError("x" * 1000)).reason) == MAX_REASON_CHARS


def test_a_long_traceback_keeps_its_end():
    text = outcome_of(ValueError("x" * MAX_TRACEBACK_CHARS + "the end")).traceback
    assert text.endswith("the end\n")
    assert len(text) <= MAX_TRACEBACK_CHARS + 4


def test_a_message_that_cannot_be_shown_does_not_hide_the_error():
    class Broken(Exception):
        def __str__(self):
            raise RuntimeError

    assert outcome_of(Broken()).reason == "Broken: (its message can't be shown: RuntimeError)"


def test_what_a_terminal_would_obey_and_utf8_cannot_carry_is_escaped():
    outcome = outcome_of(raised(ValueError("\x1b[2J \ud800 \x00 \u202e größer")))
    assert outcome.reason == r"ValueError: \x1b[2J \ud800 \x00 \u202e größer"
    outcome.traceback.encode()


def test_asyncio_gets_a_hint():
    assert "await Deferreds" in outcome_of(RuntimeError("no running event loop")).reason


def test_leaving_the_interpreter_is_an_error_like_others():
    assert outcome_of(SystemExit(3)).reason == "SystemExit: 3"


def test_the_traceback_of_a_failure_can_be_passed_along():
    assert outcome_of(ValueError("x"), "where it was").traceback == "where it was"
