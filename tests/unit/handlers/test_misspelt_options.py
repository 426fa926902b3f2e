"""Options that were probably meant to be keys of snqd."""

from __future__ import annotations

import pytest

from snqd.handlers.misspelt_options import near_misses


@pytest.mark.parametrize(
    ("option", "key"),
    [
        ("concurency", "concurrency"),
        ("thread", "threads"),
        ("weigth", "weight"),
        ("max_retry", "max_retries"),
        ("retry-delay", "retry_delay"),
        ("Http_Alow", "http_allow"),
    ],
)
def test_a_slip_of_the_pen_is_told_with_what_was_meant(option: str, key: str) -> None:
    (problem,) = near_misses([option], ()).values()
    assert f"(did you mean {key}?)" in problem


@pytest.mark.parametrize("option", ["height", "width", "size", "delay", "wait", "read_timeout", "max_size", "é"])
def test_other_options_are_the_handlers_own_affair(option: str) -> None:
    assert near_misses([option], ()) == {}


def test_what_the_class_declares_is_meant() -> None:
    assert list(near_misses(["thread", "weights"], {"thread"})) == ["weights"]
