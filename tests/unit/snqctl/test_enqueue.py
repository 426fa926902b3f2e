from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from snqd.core.errors import Unconfirmed
from snqd.core.job import MAX_BODY_BYTES
from snqd.snqctl import enqueue, lines
from snqd.snqctl.feed import MAX_JOBS
from snqd.stores.sqlite.database import QueueDatabase


def test_one_job_of_a_payload(operator: Any) -> None:
    result = operator("enqueue", "alpha", "greet", '{"name": "Ada"}')
    assert (result.exit_code, result.stdout, result.stderr) == (0, "accepted 1 job\n", "")
    assert operator.jobs() == [("alpha", "greet", b'{"name": "Ada"}')]


def test_without_a_payload_it_is_null(operator: Any) -> None:
    assert operator("enqueue", "alpha", "greet").exit_code == 0
    assert operator.jobs() == [("alpha", "greet", b"null")]


def test_many_copies_each_with_an_id_of_its_own(operator: Any) -> None:
    result = operator("enqueue", "alpha", "greet", "1", "--count", 1201)
    assert result.stdout == "accepted 1201 jobs\n"
    (ids,) = operator.store.file.open().execute("SELECT count(DISTINCT id) FROM job").fetchone()
    assert ids == 1201


def test_a_delay_counts_from_now(operator: Any) -> None:
    assert operator("enqueue", "alpha", "greet", "--delay", "60").exit_code == 0
    (waits,) = operator.store.file.open().execute("SELECT due - created FROM job").fetchone()
    assert waits == pytest.approx(60)


def test_lines_of_stdin_are_jobs_and_bad_ones_are_named(operator: Any) -> None:
    lines = b'{"n": 1}\nnot json\n\n  [2]  \r\n\xff\nNaN\n"last"'
    result = operator("enqueue", "alpha", "greet", "-", input=lines)
    assert result.exit_code == 1
    assert result.stdout == "accepted 3 jobs\n"
    assert [body for _, _, body in operator.jobs()] == [b'{"n": 1}', b"[2]", b'"last"']
    second, fifth, sixth = result.stderr.splitlines()
    assert second == "snqctl: line 2: not JSON: Expecting value (byte 0 of the line)"
    assert fifth == "snqctl: line 5: not JSON: not UTF-8 (byte 0 of the line)"
    assert sixth == "snqctl: line 6: not JSON: JSON has no NaN"


def test_json_tells_what_was_accepted_and_what_failed(operator: Any) -> None:
    answer = operator.json("enqueue", "alpha", "greet", "-", input="1\n{\n")
    assert answer["accepted"] == 1
    (failed,) = answer["failed"]
    assert failed["line"] == 2
    assert failed["error"].startswith("not JSON: ")


def test_lines_of_more_bytes_than_a_job_carries_are_refused_and_the_rest_goes_on(
    operator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enqueue, "MAX_BODY_BYTES", 10)
    monkeypatch.setattr(lines, "CHUNK_BYTES", 7)
    result = operator("enqueue", "alpha", "greet", "-", input='1\n"' + "x" * 40 + '"\n2\n')
    assert result.exit_code == 1
    assert result.stderr == "snqctl: line 2: more than the 10 bytes that a job carries\n"
    assert [body for _, _, body in operator.jobs()] == [b"1", b"2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("greet", "{"), "PAYLOAD: byte 1: not JSON: Expecting property name enclosed in double quotes"),
        (
            ("greet", "1", "2"),
            "one PAYLOAD at most: quote JSON that has blanks, or give - and one value a line on stdin",
        ),
        (("greet", "-", "--count", "2"), "--count goes with a PAYLOAD, not with lines from stdin"),
        (("greet", "--delay", "-1"), "--delay must be seconds, 0 or more, not -1.0"),
        (("greet", "--delay", "nan"), "--delay must be seconds, 0 or more, not nan"),
        (("greet", "--wire", "php"), "--wire php takes one or more FILEs with a PHP payload or envelope each"),
    ],
)
def test_wrong_use_is_refused_before_anything_is_enqueued(
    operator: Any, arguments: tuple[str, ...], message: str
) -> None:
    result = operator("enqueue", "alpha", *arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"snqctl: {message}\n")
    assert not operator.state.exists()


@pytest.mark.parametrize(
    ("site", "queue", "message"),
    [
        ("alhpa", "greet", "site 'alhpa' is not configured"),
        ("alpha", "gret", "queue gret has no handler"),
        ("beta", "resize", "site beta has queue resize switched off"),
    ],
)
def test_unknown_targets_need_force(operator: Any, site: str, queue: str, message: str) -> None:
    refused = operator("enqueue", site, queue)
    assert refused.exit_code == 2
    assert message in refused.stderr
    assert operator("enqueue", site, queue, "--force").exit_code == 0
    assert operator.jobs() == [(site, queue, b"null")]


@pytest.mark.parametrize("name", ["a/b", "a\0b", "x" * 300, "", "ä", "../x"])
@pytest.mark.parametrize("force", [(), ("--force",)])
def test_illegal_names_are_refused_whatever_force_says(operator: Any, name: str, force: tuple[str, ...]) -> None:
    for site, queue in ((name, "greet"), ("alpha", name)):
        result = operator("enqueue", site, queue, *force)
        assert result.exit_code == 2
        assert "name: 1 to 64 ASCII letters" in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_php_files_with_and_without_an_envelope(operator: Any, tmp_path: Path) -> None:
    bare, wrapped = tmp_path / "bare", tmp_path / "wrapped"
    bare.write_bytes(b"i:7;")
    wrapped.write_bytes(
        b"SEND\ncreated: 2010-01-31 12:00:00\n\n"
        b'a:3:{s:4:"site";s:1:"x";s:7:"handler";s:1:"y";s:7:"payload";s:4:"i:8;";}\0'
    )
    result = operator("enqueue", "--wire", "php", "alpha", "greet", bare, wrapped, tmp_path / "none")
    assert result.exit_code == 1
    assert result.stdout == "accepted 2 jobs\n"
    assert result.stderr == f"snqctl: file {tmp_path / 'none'}: No such file or directory\n"
    assert operator.jobs() == [("alpha", "greet", b"i:7;"), ("alpha", "greet", b"i:8;")]
    rows = operator.store.file.open().execute("SELECT encoding, created FROM job ORDER BY n").fetchall()
    assert [encoding for encoding, _ in rows] == ["php", "php"]
    assert rows[1][1] == 1264939200.0


def test_a_php_file_of_more_bytes_than_any_job_takes_is_refused(operator: Any, tmp_path: Path) -> None:
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(2 * MAX_BODY_BYTES + 1)
    result = operator("enqueue", "--wire", "php", "alpha", "greet", big)
    assert (result.exit_code, result.stdout) == (1, "accepted 0 jobs\n")
    assert "the file has more than the" in result.stderr


def test_a_disk_that_fills_up_is_told_with_what_was_accepted_before(
    operator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_file = QueueDatabase.open

    def small_disk(database: QueueDatabase) -> sqlite3.Connection:
        database.file.open().execute("PRAGMA max_page_count = 400")
        return open_file(database)  # type: ignore[return-value]

    enqueue = QueueDatabase.enqueue
    monkeypatch.setattr(QueueDatabase, "enqueue", lambda self, jobs: (small_disk(self), enqueue(self, jobs)))
    lines = "".join(f'"{"x" * 1000}"\n' for _ in range(2 * MAX_JOBS + 1))
    result = operator("enqueue", "alpha", "greet", "-", input=lines)
    assert result.exit_code == 1
    assert result.stdout == f"accepted {MAX_JOBS} jobs\n"
    where = f"lines {MAX_JOBS + 1} to {2 * MAX_JOBS} and what follows"
    assert f"snqctl: {where}: {operator.state / 'queue.db'}: the disk is full" in result.stderr
    assert len(operator.jobs()) == MAX_JOBS


def test_a_damaged_store_is_named_and_left_untouched(operator: Any) -> None:
    operator.state.mkdir()
    (operator.state / "queue.db").write_bytes(b"no database" * 500)
    result = operator("enqueue", "alpha", "greet")
    assert (result.exit_code, result.stdout) == (1, "accepted 0 jobs\n")
    assert "queue.db is no SQLite file" in result.stderr
    assert (operator.state / "queue.db").read_bytes() == b"no database" * 500


def test_an_interrupt_says_how_many_were_accepted(operator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    chunks = iter([b"1\n2\n", None])

    def read(wait: float | None) -> bytes | None:
        try:
            return next(chunks)
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr(enqueue, "reader", lambda stream: read)
    monkeypatch.setattr("snqd.snqctl.feed.MAX_JOBS", 2)
    result = operator("enqueue", "alpha", "greet", "-")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "accepted 2 jobs\n", "snqctl: interrupted\n")


def test_delays_need_a_queue(operator: Any) -> None:
    operator.configure("[queue]\nenabled = no\n")
    result = operator("enqueue", "alpha", "greet", "--delay", "5")
    assert result.exit_code == 2
    assert result.stderr == f"snqctl: --delay needs a queue, and {operator.config} says [queue] enabled = no\n"


def test_a_store_that_is_lost_in_the_middle_of_lines_is_told_with_the_line_to_go_on_from(
    operator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue = QueueDatabase.enqueue

    def lost(database: QueueDatabase, jobs: Any) -> None:
        if jobs[0].body == b"5":
            raise Unconfirmed("the broker has closed the connection", [jobs[0].id], [jobs[1].id])
        enqueue(database, jobs)

    monkeypatch.setattr(QueueDatabase, "enqueue", lost)
    monkeypatch.setattr("snqd.snqctl.feed.MAX_JOBS", 2)
    result = operator("enqueue", "alpha", "greet", "-", "--json", input=b"1\nbad\n3\n\n5\n6\n7\n8\n")
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert (answer["accepted"], answer["unknown"]) == (3, 1)
    why = "lines 5 to 6 and what follows: the broker has closed the connection"
    assert answer["failed"][1:] == [{"error": why}]
    assert result.stderr.splitlines()[-1] == f"snqctl: {why}"


def test_a_payload_that_a_store_does_not_take_is_told_without_lines(
    operator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(database: QueueDatabase, jobs: Any) -> None:
        raise Unconfirmed("the broker is silent", [], [job.id for job in jobs])

    monkeypatch.setattr(QueueDatabase, "enqueue", lost)
    result = operator("enqueue", "alpha", "greet", "1")
    assert (result.exit_code, result.stderr) == (1, "snqctl: the broker is silent\n")
    assert result.stdout == "accepted 0 jobs; of 1 that is not known\n"
