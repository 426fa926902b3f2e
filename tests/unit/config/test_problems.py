"""Problems: order, places, and messages that are fit for a log."""

from __future__ import annotations

import pytest

from snqd.config.ini import Entry, Section
from snqd.config.problems import Problems, did_you_mean, nearest, quoted
from snqd.core.errors import ConfigError


def raised(problems: Problems) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        problems.raise_if_any()
    return caught.value.problems


def test_nothing_wrong_raises_nothing() -> None:
    Problems([]).raise_if_any()


def test_problems_are_listed_by_file_and_line_whenever_they_were_found() -> None:
    problems = Problems(["main.ini", "a.ini"])
    problems.at_line("a.ini", 1, "last")
    problems.at_line("main.ini", 9, "third")
    problems.at(Section("main.ini", "s", 2, {"k": Entry("", 4)}), "k", "second")
    problems.at(Section("main.ini", "s", 2), "absent", "first")
    assert raised(problems) == [
        "main.ini:2: [s] absent: first",
        "main.ini:4: [s] k: second",
        "main.ini:9: third",
        "a.ini:1: last",
    ]


def test_a_section_that_no_file_has_is_placed_in_its_file() -> None:
    problems = Problems(["main.ini"])
    problems.at(Section("main.ini", "snqd"), "id", "is missing")
    assert raised(problems) == ["main.ini: [snqd] id: is missing"]


def test_only_a_section_with_a_problem_is_concerned() -> None:
    problems = Problems([])
    wrong, right = Section("f", "a", 1), Section("f", "b", 2)
    problems.at(wrong, "", "wrong")
    assert problems.concern(wrong)
    assert not problems.concern(right)


def test_control_characters_are_escaped() -> None:
    problems = Problems([])
    problems.at(Section("f", "a", 1), "k\u202e\x1b", "é is fine")
    assert raised(problems) == ["f:1: [a] k\\u202e\\x1b: é is fine"]


@pytest.mark.parametrize(
    ("word", "near"), [("thread", "threads"), ("THREADS", "threads"), ("Lease", "lease"), ("zzz", ""), ("", "")]
)
def test_the_nearest_word_is_found_in_any_case(word: str, near: str) -> None:
    assert nearest(word, ["threads", "lease"]) == near


def test_there_is_no_hint_at_nothing() -> None:
    assert did_you_mean("a") == " (did you mean a?)"
    assert did_you_mean("") == ""


def test_long_text_is_cut_and_what_can_not_be_seen_is_escaped() -> None:
    assert quoted("é" * 61) == "'" + "é" * 60 + "...'"
    assert quoted("\u202e\x1b\udce9") == "'\\u202e\\x1b\\udce9'"
