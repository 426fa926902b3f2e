"""The ways in which a handler's work ends, and the errors' words."""

from __future__ import annotations

import attrs
import pytest

from snqd.core import errors
from snqd.core.outcome import ACK, Ack, DeadLetter, Retry


def test_outcomes_are_values() -> None:
    assert Ack() == ACK
    assert Retry("busy") == Retry("busy", None, "")
    assert Retry("busy", 1.0) != Retry("busy", 2.0)
    assert DeadLetter("no image") != Retry("no image")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Retry("busy").delay = 3.0  # type: ignore[misc]


def test_an_errors_docstring_is_its_message_unless_it_has_one() -> None:
    assert str(errors.DaemonNotRunning()) == "No daemon answers."
    assert str(errors.BadName("'a/b' is no site name")) == "'a/b' is no site name"


def test_a_configuration_error_has_one_line_a_problem() -> None:
    error = errors.ConfigError(["snq.ini [snqd] threads: no number", "snq.ini [queue] db: no URL"])
    assert str(error).splitlines() == error.problems


def test_every_error_is_one_of_snqds() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert len(kinds) > 10
    assert all(issubclass(kind, errors.SnqdError) and kind.__doc__ for kind in kinds)
