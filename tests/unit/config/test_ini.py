"""The tokenizer: sections, keys, continued values, comments, and what it refuses."""

from __future__ import annotations

import pytest

from snqd.config.ini import Entry, Section, tokenize


def read(text: str) -> tuple[list[Section], list[tuple[int, str]]]:
    complaints: list[tuple[int, str]] = []
    sections = tokenize("f.ini", text, lambda line, message: complaints.append((line, message)))
    return sections, complaints


def test_sections_and_keys_keep_their_lines_and_case() -> None:
    sections, complaints = read("[a]\nKey = v\n\n[ b ]\nkey=\n")
    assert sections == [
        Section("f.ini", "a", 1, {"Key": Entry("v", 2)}),
        Section("f.ini", "b", 4, {"key": Entry("", 5)}),
    ]
    assert complaints == []


def test_only_the_first_equals_sign_separates() -> None:
    sections, _ = read("[a]\nhandler:q.x = http://h/?a=b\n")
    assert sections[0].entries == {"handler:q.x": Entry("http://h/?a=b", 2)}


def test_indented_lines_continue_a_value_past_comments_until_an_empty_line() -> None:
    sections, complaints = read("[a]\nlist =\n  one,\n# two,\n  ; two and a half\n\tthree\n\nnext = 1\n")
    assert sections[0].entries == {"list": Entry("one,\nthree", 2), "next": Entry("1", 8)}
    assert complaints == []


def test_a_comment_sign_behind_a_value_belongs_to_it() -> None:
    sections, _ = read("[a]\nk = v # no comment ; either\n")
    assert sections[0].entries["k"].value == "v # no comment ; either"


def test_windows_line_ends_are_line_ends() -> None:
    sections, complaints = read("[a]\r\nk = v\r\n")
    assert sections[0].entries == {"k": Entry("v", 2)}
    assert complaints == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[a\n", (1, "is no section header: write [section], and nothing behind it")),
        ("[a] # why\n", (1, "is no section header: write [section], and nothing behind it")),
        ("[ ]\n", (1, "is no section header: write [section], and nothing behind it")),
        ("[a]\nk\n", (2, "is no setting: write key = value, or indent a line that continues a value")),
        ("[a]\n= v\n", (2, "is no setting: write key = value, or indent a line that continues a value")),
        ("k = v\n", (1, "k stands before any section: put a [section] line above it")),
        ("[a]\n\n[a]\n", (3, "[a] is there already, in line 1: put its keys together in one section")),
        ("[a]\nk = 1\nk = 2\n", (3, "[a] k: is set already, in line 2: remove one of the two")),
        ("[a]\n  k = 1\n", (2, "is indented but continues no value: begin sections and keys in the first column")),
        ("[a]\nk = 1\n\n  2\n", (4, "is indented but continues no value: begin sections and keys in the first column")),
        ("  [a]\n", (1, "is indented but continues no value: begin sections and keys in the first column")),
        ("[a]\nk = \0\n", (2, "has a control character or half a surrogate pair: remove it")),
        ("[a]\nk = \ud800\n", (2, "has a control character or half a surrogate pair: remove it")),
    ],
)
def test_a_wrong_line_is_named(text: str, complaint: tuple[int, str]) -> None:
    _, complaints = read(text)
    assert complaints == [complaint]


def test_the_first_of_two_equal_keys_counts_and_reading_goes_on() -> None:
    sections, complaints = read("[a]\nk = 1\nk = 2\nrubbish\nl = 3\n")
    assert sections[0].entries == {"k": Entry("1", 2), "l": Entry("3", 5)}
    assert [line for line, _ in complaints] == [3, 4]
