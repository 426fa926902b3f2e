"""What a child is told at its birth."""

from __future__ import annotations

import attrs

from snqd.pipe.child_spec import ChildSpec, child_id, daemon_of, group_of

SPEC = ChildSpec("1", "{}", 2, None, "main", 1, "h.main.1", "h.main.1-0123456789ab", "normal")


def test_a_spec_survives_its_document() -> None:
    assert ChildSpec.from_json(SPEC.to_json()) == SPEC


def test_only_the_first_child_of_a_group_runs_what_runs_once() -> None:
    assert SPEC.first
    assert not attrs.evolve(SPEC, n=2).first
    assert not attrs.evolve(SPEC, n=0).first


def test_ids_name_daemon_group_and_place() -> None:
    assert child_id("web.example", "main", 2) == "web.example.main.2"
    assert child_id("web.example", "main", 0) == "web.example.main.solo"


def test_the_group_is_found_in_an_incarnation_even_with_dots_in_names() -> None:
    groups = ["main", "a.main"]
    assert group_of("web.example.main.1-0123456789ab", groups) == "main"
    assert group_of("web.example.a.main.solo-0123456789ab", groups) == "a.main"
    assert group_of("web.example.gone.1-0123456789ab", groups) is None


def test_the_daemon_is_found_in_an_incarnation_even_with_dots_and_hyphens_in_names() -> None:
    assert daemon_of(f"{child_id('a.b-c', 'xmpp.one', 1)}-0f", "xmpp.one") == "a.b-c"
    assert daemon_of(f"{child_id('xmpp', 'xmpp', 1)}-0f", "xmpp") == "xmpp"
