"""What a site, a queue and a job may be called."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snqd.core.errors import BadName
from snqd.core.names import check_id, check_queue, check_site

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
names = st.builds(
    str.__add__, st.sampled_from(LETTERS + "_"), st.text(st.sampled_from(LETTERS + "_.-"), min_size=0, max_size=63)
)
ids = st.text(st.sampled_from(LETTERS + ".-"), min_size=1, max_size=64)
Check = Callable[[str], str]


@given(check=st.sampled_from([check_site, check_queue]), name=names)
def test_names_of_letters_digits_and_some_marks_are_good(check: Check, name: str) -> None:
    assert check(name) == name


@given(job_id=ids)
def test_ids_of_letters_digits_dots_and_hyphens_are_good(job_id: str) -> None:
    assert check_id(job_id) == job_id


BAD = ["", "a/b", "../etc", "a b", "a\0", "a\n", "\u00e9", "\u0661", "x" * 65, "x" * 300, "a:b", "a*"]


@pytest.mark.parametrize("check", [check_site, check_queue, check_id])
@pytest.mark.parametrize("name", BAD, ids=ascii)
def test_other_names_are_refused_and_shown_as_they_are(check: Check, name: str) -> None:
    with pytest.raises(BadName) as caught:
        check(name)
    message = str(caught.value)
    assert message.isprintable()
    assert repr(name[:64])[1:-1] in message
    assert len(message) < 300


@pytest.mark.parametrize("check", [check_site, check_queue])
@pytest.mark.parametrize("name", [".hidden", "-option"])
def test_a_name_can_be_no_hidden_file_and_no_option(check: Check, name: str) -> None:
    with pytest.raises(BadName):
        check(name)


@given(name=st.text())
def test_a_name_that_passes_is_safe_as_a_file_name(name: str) -> None:
    try:
        check_site(name)
    except BadName:
        return
    assert name.isascii()
    assert name.isprintable()
    assert not set(name) & set("/\\ \0:")
    assert not name.startswith((".", "-"))
    assert 1 <= len(name) <= 64
