"""[group:NAME]: who serves what, with how many processes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from snqd.config.load import Overrides
from snqd.config.settings import GroupSettings, Settings

Load = Callable[..., Settings]
Problems = Callable[..., list[str]]

HANDLERS = "[snqd]\nthreads = 2\n[handlers]\na = x.A\nb = x.B\nc = x.C\nquiet = off\n"


def test_main_serves_everything_where_there_is_no_other_group(settings_of: Load) -> None:
    assert settings_of(HANDLERS).groups == {"main": GroupSettings("main", children=2, queues=("a", "b", "c"))}


def test_main_serves_what_others_leave(settings_of: Load) -> None:
    settings = settings_of(
        HANDLERS + "[group:g]\nqueues = c, a\nchildren = 3\n[group:x]\nexclusive = yes\nqueues = b\n"
    )
    assert list(settings.groups.values()) == [
        GroupSettings("main", children=2, queues=()),
        GroupSettings("g", children=3, queues=("c", "a")),
        GroupSettings("x", children=1, queues=("b",), exclusive=True),
    ]
    assert settings.group_of("c") is settings.groups["g"]
    assert settings.group_of("quiet") is None


def test_main_may_list_its_queues_if_none_is_left_over(settings_of: Load) -> None:
    settings = settings_of(HANDLERS + "[group:g]\nqueues = a\n[group:main]\nqueues = c, b\n")
    assert settings.groups["main"].queues == ("c", "b")


def test_a_group_may_have_no_children_here(settings_of: Load) -> None:
    settings = settings_of(HANDLERS + "[group:g]\nqueues = a\n[group:main]\nchildren = 0\n")
    assert (settings.groups["main"].children, settings.groups["g"].children) == (0, 1)


def test_an_ordered_queue_may_have_several_children(settings_of: Load) -> None:
    settings = settings_of(HANDLERS + "[handler:a]\nordered = site\n[group:g]\nqueues = a\nchildren = 2\n")
    assert settings.groups["g"].children == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[group:g]\nqueues = a\nchildren = -1\n", ":10: [group:g] children: -1 is out of range: write 0 to 1000"),
        (
            "[group:g]\nqueues = a\nchildren = 0\n[group:main]\nchildren = 0\n",
            ":12: [group:main] children: no group has any: give one of them children, or there is nothing to run",
        ),
        (
            "[group:g]\nqueues = a\nchildren = 0\nexclusive = yes\n",
            ":11: [group:g] exclusive: the group has 0 children, an exclusive one has one: "
            "set children = 1, or exclusive = no",
        ),
        (
            "[group:g]\nqueues = d\n",
            ":9: [group:g] queues: no handler is configured for queue d: add [handlers] d or remove it here",
        ),
        (
            "[group:g]\nqueues = quiet\n",
            ":9: [group:g] queues: [handlers] switches quiet off: remove it here, or there",
        ),
        (
            "[group:g]\nqueues = a\n[group:h]\nqueues = a\n",
            ":11: [group:h] queues: a belongs to [group:g] in /etc/snq.ini:9 already: remove it from one of the two",
        ),
        (
            "[group:main]\nqueues = a\n[group:h]\nqueues = a, b, c\n",
            ":9: [group:main] queues: a belongs to [group:h] in /etc/snq.ini:11 already: remove it from one of the two",
        ),
        ("[group:g]\n", ":8: [group:g] queues: is empty: list the queues that the group serves, or remove the section"),
        (
            "[group:main]\nqueues = b\n",
            ":9: [group:main] queues: no group serves a, c: add them, or leave the key empty",
        ),
        (
            "[group:g]\nqueues = a\nchildren = 2\nexclusive = yes\n",
            ":11: [group:g] exclusive: the group has 2 children, an exclusive one has one: "
            "set children = 1, or exclusive = no",
        ),
        (
            "[group:main]\nexclusive = yes\n",
            ":9: [group:main] exclusive: the group has 2 children, an exclusive one has one: "
            "set children = 1, or exclusive = no",
        ),
        (
            "[group:a b]\nqueues = a\n",
            ":8: [group:a b]: 'a b' is no group name: groups are named by the rules for queues; rename it",
        ),
    ],
)
def test_a_wrong_group_is_refused(problems_of: Problems, text: str, problem: str) -> None:
    assert problems_of(HANDLERS + text) == [f"/etc/snq.ini{problem}"]


def test_a_wrong_list_of_queues_is_not_called_empty_as_well(problems_of: Problems) -> None:
    (problem,) = problems_of(HANDLERS + "[group:g]\nqueues = a a\n")
    assert problem.startswith("/etc/snq.ini:9: [group:g] queues: 'a a' is no queue name: ")


def test_the_option_threads_and_an_exclusive_main_contradict_each_other(problems_of: Problems) -> None:
    text = "[group:main]\nexclusive = yes\nchildren = 1\n"
    assert problems_of(text, overrides=Overrides(threads=2)) == [
        "/etc/snq.ini:2: [group:main] exclusive: the group has 2 children, an exclusive one has one: "
        "set children = 1, or exclusive = no"
    ]
