from __future__ import annotations

import io
import os
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from snqd.snqctl.lines import LineSplitter, reader


def lines(chunks: list[bytes], limit: int = 1000) -> list[bytes | None]:
    splitter = LineSplitter(limit)
    return [line for chunk in [*chunks, b""] for line in splitter.feed(chunk)]


@given(st.binary(max_size=60), st.lists(st.integers(0, 60)))
def test_lines_do_not_depend_on_how_they_are_cut(data: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(data)]
    chunks = [chunk for begin, end in pairwise(places) if (chunk := data[begin:end])]
    expected = data.split(b"\n")
    assert lines(chunks) == (expected if expected[-1] else expected[:-1])


def test_a_line_over_the_limit_is_dropped_and_the_next_is_whole() -> None:
    assert lines([b"abc", b"def\nabcd", b"\n", b"abcdefghi"], limit=5) == [None, b"abcd", None]


def test_a_reader_tells_that_nothing_came_in_time_and_that_the_end_has_come() -> None:
    out, into = os.pipe()
    with os.fdopen(out, "rb") as stream:
        read = reader(stream)
        assert read(0.0) is None
        os.write(into, b"ab")
        assert read(0.0) == b"ab"
        os.close(into)
        assert read(None) == b""


def test_a_stream_without_a_descriptor_is_always_ready() -> None:
    read = reader(io.BytesIO(b"ab"))
    assert [read(0.0), read(None)] == [b"ab", b""]
