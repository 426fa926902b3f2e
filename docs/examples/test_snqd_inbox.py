"""The plug-in's own tests: no daemon, no store, no thread."""

import json

import pytest
from snqd_inbox import Inbox, Welcome

from snqd.io import StoreError
from snqd.testing import IoBench, run_job

CONFIG = """
[handlers]
welcome = snqd_inbox.Welcome
[app:inbox]
dir = {folder}
[site:alpha]
"""


def test_a_letter_is_written(tmp_path):
    result = run_job(Welcome, {"name": "Ada"}, options={"greeting": "Hello"}, app={"welcome": {"dir": str(tmp_path)}})
    assert result.outcome.__class__.__name__ == "Ack"
    (letter,) = tmp_path.iterdir()
    assert letter.read_text() == "Hello to example.example, Ada!\n"


@pytest.fixture
def bench(tmp_path):
    (tmp_path / "alpha").mkdir()
    bench = IoBench(Inbox, CONFIG.format(folder=tmp_path))
    bench.start()
    return bench


def drop(tmp_path, text):
    path = tmp_path / "alpha" / "new.json"
    path.write_text(text)
    return path


def test_a_file_becomes_a_job_and_is_gone(bench, tmp_path):
    path = drop(tmp_path, json.dumps({"name": "Ada"}))
    assert bench.poll() is True
    (job,) = bench.enqueued
    assert (job.site, job.queue, job.payload) == ("alpha", "welcome", {"name": "Ada"})
    assert not path.exists()
    assert bench.reported == {"taken": 1, "refused": 0}
    assert bench.poll() is False


def test_while_the_store_is_away_the_file_stays(bench, tmp_path):
    path = drop(tmp_path, "{}")
    bench.store_error = StoreError("no connection")
    bench.poll()
    assert path.exists()
    bench.store_error = None
    bench.poll()
    assert len(bench.enqueued) == 1


def test_what_is_no_json_is_put_aside(bench, tmp_path):
    path = drop(tmp_path, "{")
    bench.poll()
    assert path.with_suffix(".refused").exists()
    assert bench.enqueued == []
    assert bench.reported == {"taken": 0, "refused": 1}


def test_a_new_folder_is_looked_into_after_a_reload(bench, tmp_path):
    (tmp_path / "other" / "alpha").mkdir(parents=True)
    drop(tmp_path / "other", "{}")
    assert bench.poll() is False
    bench.reload(CONFIG.format(folder=tmp_path / "other"))
    assert bench.poll() is True


def test_once_it_is_quiet_it_takes_no_file(bench, tmp_path):
    path = drop(tmp_path, "{}")
    bench.manager.quiet()
    bench.poll()
    assert path.exists()
    bench.drain()
