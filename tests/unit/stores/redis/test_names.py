"""The names of a farm's keys."""

from __future__ import annotations

import pytest

from snqd.stores.redis.names import place_of, prefix_of, wake_channel


@pytest.mark.parametrize(
    ("basename", "prefix"),
    [
        ("/queue/snqd.", "{/queue/snqd.}:"),
        ("a}b{c", "{a%7Db%7Bc}:"),
        ("two words", "{two%20words}:"),
    ],
)
def test_a_farms_keys_share_one_hash_tag_whatever_its_name(basename: str, prefix: str) -> None:
    assert prefix_of(basename) == prefix
    assert wake_channel(prefix) == f"{prefix}wake"


def test_either_part_of_a_place_may_be_all() -> None:
    assert [place_of("q", "s"), place_of("q", None), place_of(None, "s")] == ["q s", "q ", " s"]
