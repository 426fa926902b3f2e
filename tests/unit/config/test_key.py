"""What a declared key says about itself, and what derives from it."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest

from snqd.config.key import PerSite, SectionKeys, SectionKind, TakesEffect, filled_key, key, keys_of, optional_key
from snqd.config.schema import KINDS, QUEUE, SITE, SITE_ALONE
from snqd.config.settings import Settings
from snqd.config.values import integer, one_line

NOW = TakesEffect.AT_ONCE


@attrs.frozen(kw_only=True)
class Record(SectionKeys):
    depth: int = key("3", integer(1, 9), "how deep", NOW)
    title: str | None = optional_key(one_line, "how it is called", TakesEffect.IN_FRESH_CHILDREN)
    word: str = optional_key(one_line, "what nobody may see", NOW, PerSite.YES, empty="", secret=True)
    size: int = filled_key("", integer(1, 9), "how large; empty: as found", TakesEffect.IN_A_FRESH_DAEMON)


KIND = SectionKind("thing", "a thing", keys=keys_of(Record))


def test_each_field_that_declares_a_key_is_one() -> None:
    assert list(KIND.by_name) == ["depth", "title", "word", "size"]
    assert [each.default for each in KIND.keys] == ["3", "", "", ""]
    assert KIND.defaults == {"depth": 3, "title": None, "word": "", "size": None}


def test_a_record_has_the_defaults_and_hides_secrets() -> None:
    record = Record(size=4, word="x y z")
    assert (record.depth, record.title, record.size) == (3, None, 4)
    assert "x y z" not in repr(record)


def test_what_the_loader_must_fill_in_has_no_default() -> None:
    with pytest.raises(TypeError, match="size"):
        Record()


def test_a_key_without_a_default_is_not_declared_as_one_that_has_one() -> None:
    with pytest.raises(AssertionError, match="optional_key"):
        key("", one_line, "nothing", NOW)


def test_a_free_key_takes_effect_at_once() -> None:
    assert KIND.takes_effect("size") is TakesEffect.IN_A_FRESH_DAEMON
    assert KIND.takes_effect("colour") is NOW


def test_a_site_may_set_just_the_keys_that_say_so() -> None:
    of_queue = {f"queue.{each.name}" for each in QUEUE.keys if each.per_site is not PerSite.NO}
    assert {each.name for each in SITE.keys} == of_queue | {each.name for each in SITE_ALONE.keys}
    assert all(each.per_site is PerSite.YES for each in SITE.keys)


@pytest.mark.parametrize("name", [each.name for each in QUEUE.keys if each.per_site is PerSite.NO])
def test_a_site_is_refused_the_others(problems_of: Callable[..., list[str]], name: str) -> None:
    (problem,) = problems_of(f"[site:a]\nqueue.{name} = 1\n")
    assert problem == f"/etc/snq.ini:2: [site:a] queue.{name}: {name} of [queue] is the daemon's alone: remove it here"


def test_settings_have_a_field_for_each_key(settings_of: Callable[..., Settings]) -> None:
    settings = settings_of("[handlers]\nq = a.B\n[group:g]\nqueues = q\n[site:a]\n")
    records = {
        "snqd": settings.daemon,
        "queue": settings.queue,
        "group": settings.groups["g"],
        "handler": settings.handlers["q"],
        "sites": settings.sites_from,
    }
    for name, record in records.items():
        assert {each.name for each in KINDS[name].keys} == record.written.keys()
        assert all(hasattr(record, each.name) for each in KINDS[name].keys)
