from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from snqd.core.job import PHP
from snqd.stores.morgue.morgue import Letter

ADA = Letter("job-1", "alpha", "greet", b'{"name": "Ada"}', "json", 3, 1000.0, 2000.5, "it broke", "Traceback:\n  x")
CUT = Letter("job-2", "beta", "resize", b"s:9:\xffcut", PHP, 1, 1000.0, 2001.0, "the payload is cut")


def test_list_json_has_all_of_every_letter(operator: Any) -> None:
    operator.bury(ADA, CUT)
    assert operator.json("dead", "list") == [
        {
            "id": "job-1",
            "site": "alpha",
            "queue": "greet",
            "payload": {"name": "Ada"},
            "attempts": 3,
            "created": 1000.0,
            "died": 2000.5,
            "reason": "it broke",
            "traceback": "Traceback:\n  x",
        },
        {
            "id": "job-2",
            "site": "beta",
            "queue": "resize",
            "payload": {"base64": "czo5Ov9jdXQ="},
            "attempts": 1,
            "created": 1000.0,
            "died": 2001.0,
            "reason": "the payload is cut",
            "traceback": "",
        },
    ]


def test_list_is_narrowed_by_queue_and_site(operator: Any) -> None:
    operator.bury(ADA, CUT)
    assert [letter["id"] for letter in operator.json("dead", "list", "--queue", "greet")] == ["job-1"]
    assert [letter["id"] for letter in operator.json("dead", "list", "--site", "beta")] == ["job-2"]


def test_the_table_shows_the_first_and_counts_the_rest(operator: Any) -> None:
    operator.bury(*(attrs.evolve(ADA, id=f"job-{number}") for number in range(60)))
    result = operator("dead", "list")
    assert result.exit_code == 0
    assert "job-0 " in result.stdout
    assert "it broke" in result.stdout
    assert "job-50 " not in result.stdout
    assert result.stdout.endswith("10 more: narrow down with --queue and --site, or see all with --json\n")
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_a_row_can_be_read_beside_the_id_of_what_php_sent_which_is_a_digest(operator: Any) -> None:
    operator.bury(attrs.evolve(ADA, id="d1" * 32, reason="no such image"))
    heading, row = operator("dead", "list").stdout.splitlines()
    assert heading.split() == ["id", "site", "queue", "tries", "died", "reason"]
    assert row.split()[:4] == ["d1" * 32, "alpha", "greet", "3"]
    assert row.rstrip().endswith("no such image")


def test_without_a_morgue_there_are_no_letters_and_none_is_made(operator: Any) -> None:
    assert operator("dead", "list").stdout == "no dead letters\n"
    assert operator.json("dead", "list") == []
    assert operator("dead", "show", "job-1").exit_code == 1
    assert operator("dead", "discard", "--all").stdout == "discarded 0 letters\n"
    assert operator("dead", "requeue", "--all").stdout == "requeued 0 letters\n"
    for verb in ("discard", "requeue"):
        assert operator("dead", verb, "job-1").stderr == "snqctl: no dead letter 'job-1': snqctl dead list shows them\n"
    assert not (operator.state / "morgue.db").exists()


def test_show_tells_all_there_is_to_know(operator: Any) -> None:
    operator.bury(ADA)
    shown = operator("dead", "show", "job-1").stdout
    for text in (
        "id        job-1\n",
        "queue     greet\n",
        "reason    it broke\n",
        '"name": "Ada"',
        "  Traceback:\n    x\n",
    ):
        assert text in shown


def test_show_json_names_an_unknown_letter_on_stderr(operator: Any) -> None:
    operator.bury(ADA)
    result = operator("dead", "show", "nobody", "job-1", "--json")
    assert result.exit_code == 1
    assert result.stderr == "snqctl: no dead letter 'nobody': snqctl dead list shows them\n"
    assert [letter["id"] for letter in json.loads(result.stdout)] == ["job-1"]


def test_what_a_payload_does_to_terminals_is_shown_not_done(operator: Any) -> None:
    operator.bury(attrs.evolve(ADA, id="\x1b[2J", reason="\x1b]0;title\x07[bold]"))
    for shown in (operator("dead", "list").stdout, operator("dead", "show", "\x1b[2J").stdout):
        assert "\x1b" not in shown
        assert "[bold]" in shown.replace("\n", "").replace(" ", "")


def test_requeue_moves_a_letter_back_at_attempt_one(operator: Any) -> None:
    operator.bury(ADA, CUT)
    result = operator("dead", "requeue", "job-1", "job-1")
    assert (result.exit_code, result.stdout) == (0, "requeued 1 letter\n")
    assert operator.store.file.open().execute("SELECT id, attempt, body FROM job").fetchall() == [
        ("job-1", 1, b'{"name": "Ada"}')
    ]
    assert [letter.id for letter in operator.morgue.list()] == ["job-2"]


def test_an_unknown_letter_is_named_and_the_others_go_on(operator: Any) -> None:
    operator.bury(ADA, CUT)
    requeued = operator("dead", "requeue", "nobody", "job-1")
    assert (requeued.exit_code, requeued.stdout) == (1, "requeued 1 letter\n")
    assert requeued.stderr == "snqctl: no dead letter 'nobody': snqctl dead list shows them\n"
    discarded = operator("dead", "discard", "job-2", "nobody")
    assert (discarded.exit_code, discarded.stdout) == (1, "discarded 1 letter\n")
    assert operator.morgue.count() == 0


def test_all_is_narrowed_by_queue_and_site(operator: Any) -> None:
    operator.bury(ADA, CUT, attrs.evolve(ADA, id="job-3", site="beta"))
    assert operator("dead", "requeue", "--all", "--queue", "resize").stdout == "requeued 1 letter\n"
    assert operator("dead", "discard", "--all", "--site", "beta").stdout == "discarded 1 letter\n"
    assert [letter.id for letter in operator.morgue.list()] == ["job-1"]


@pytest.mark.parametrize("command", ["requeue", "discard"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "say which: the letters' IDs (snqctl dead list shows them), or --all"),
        (("job-1", "--all"), "say which: the letters' IDs (snqctl dead list shows them), or --all"),
        (("job-1", "--site", "beta"), "--queue and --site narrow --all; an ID needs neither"),
    ],
)
def test_which_letters_must_be_said(operator: Any, command: str, arguments: tuple[str, ...], message: str) -> None:
    operator.bury(ADA)
    result = operator("dead", command, *arguments)
    assert (result.exit_code, result.stderr) == (2, f"snqctl: {message}\n")
    assert operator.morgue.count() == 1


def test_a_store_that_takes_no_jobs_leaves_the_letters_where_they_are(operator: Any) -> None:
    operator.bury(ADA)
    (operator.state / "queue.db").write_bytes(b"no database" * 500)
    result = operator("dead", "requeue", "--all")
    assert result.exit_code == 1
    assert "queue.db is no SQLite file" in result.stderr
    assert operator.morgue.count() == 1


def test_without_a_queue_nothing_can_go_back_to_it(operator: Any) -> None:
    operator.bury(ADA)
    operator.configure("[queue]\nenabled = no\n")
    assert operator("dead", "requeue", "--all").exit_code == 2
    assert operator.morgue.count() == 1
