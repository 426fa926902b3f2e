"""snqctl as a process of its own: what needs a real stdin, signals, pipes or the reactor, and no daemon."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from snqd import connect
from snqd.client import NotAcknowledged
from snqd.stores.sqlite.database import QueueDatabase

CHECKOUT = Path(__file__).resolve().parents[2]
SNQCTL = (sys.executable, "-m", "snqd.snqctl.main")

CONFIG = """
[snqd]
state_dir = state

[handlers]
note = noted.Note
chain = noted.Chain
cat = exec: /bin/sh -c 'cat > {id}.out'

[app:noted]
file = notes

[site:alpha]
"""

NOTED = """
from snqd.handlers import QueueHandler, Reject, RetryLater


class Note(QueueHandler):
    def handle(self, job):
        if job.payload == "reject":
            raise Reject("not this one")
        if job.payload == "later":
            raise RetryLater(30, "the mirror is busy")
        if job.payload == "break":
            raise OSError("no such luck")
        with open(job.site.config("noted", "file"), "a") as file:
            file.write(f"{job.queue} {job.payload}\\n")


class Chain(QueueHandler):
    async def handle(self, job):
        job.enqueue("note", f"after {job.payload}")
        job.enqueue("note", "reject") if job.payload == "badly" else None
"""


class Shell:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "snq.ini"
        self.config.write_text(CONFIG)
        (folder / "noted.py").write_text(NOTED)

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": f"{self.folder}{os.pathsep}{CHECKOUT}"}
        return subprocess.Popen(
            [*SNQCTL, "--config", str(self.config), *arguments],
            cwd=self.folder,
            env=environment,
            text=True,
            **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )

    def __call__(self, *arguments: str, input: str = "") -> tuple[int, str, str]:
        process = self.start(*arguments)
        stdout, stderr = process.communicate(input, timeout=60)
        return process.returncode, stdout, stderr

    def waiting(self) -> int:
        if not (self.folder / "state" / "queue.db").exists():
            return 0
        database = QueueDatabase(self.folder / "state" / "queue.db")
        try:
            return sum(depth.waiting for depth in database.depths())
        finally:
            database.close()

    def notes(self) -> list[str]:
        notes = self.folder / "notes"
        return notes.read_text().splitlines() if notes.exists() else []


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def started(shell: Shell) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
        processes.append(shell.start(*arguments, **options))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def wait_until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_enqueue_starts_without_twisted_or_rich(shell: Shell) -> None:
    script = (
        "import sys; from snqd.snqctl.main import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(sorted({name.split('.')[0] for name in sys.modules} & {'twisted', 'rich'}))"
    )
    command = [sys.executable, "-c", script, "--config", str(shell.config), "enqueue", "alpha", "note", "1"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "accepted 1 job\n[]\n", "")


def test_a_slow_stream_is_accepted_as_it_comes_and_an_interrupt_tells_how_much(
    shell: Shell, started: Callable[..., subprocess.Popen[str]]
) -> None:
    process = started("enqueue", "alpha", "note", "-")
    assert process.stdin is not None
    process.stdin.write('"one"\n"two"\n"unfini')
    process.stdin.flush()
    wait_until(lambda: shell.waiting() == 2)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 1
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read() == "accepted 2 jobs\n"
    assert process.stderr.read().strip() == "snqctl: interrupted"
    assert shell.waiting() == 2


def test_whoever_stops_reading_is_told_on_stderr(shell: Shell, started: Callable[..., subprocess.Popen[str]]) -> None:
    out, into = os.pipe()
    process = started("enqueue", "alpha", "note", "-", stdout=into)
    os.close(into)
    os.close(out)
    _, stderr = process.communicate("1\n2\n", timeout=60)
    assert stderr == "accepted 2 jobs\n"
    assert shell.waiting() == 2


def test_a_long_stream_needs_no_memory_of_its_length(shell: Shell) -> None:
    script = (
        "import sys; from snqd.snqctl.main import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    command = [sys.executable, "-c", script, "--config", str(shell.config), "enqueue", "alpha", "note", "-"]
    lines = b'"%s"\n' % (b"x" * 1000) * 60_000
    ran = subprocess.run(command, input=lines, capture_output=True, cwd=CHECKOUT, check=False)
    accepted, peak_kb = ran.stdout.splitlines()
    assert accepted == b"accepted 60000 jobs"
    assert int(peak_kb) * 1024 < len(lines)


def test_run_tells_the_outcome(shell: Shell) -> None:
    code, stdout, stderr = shell("run", "alpha", "note", '"x"')
    assert (code, stderr, shell.notes()) == (0, "", ["note x"])
    assert stdout.startswith("job ")
    assert stdout.endswith(": Ack\n")


def test_run_reads_its_payload_from_stdin_and_takes_an_id(shell: Shell) -> None:
    assert shell("run", "alpha", "cat", "-", "--id", "job-7", input='{"a": 1}\n') == (0, "job job-7: Ack\n", "")
    assert json.loads((shell.folder / "job-7.out").read_text()) == {"a": 1}


@pytest.mark.parametrize(
    ("payload", "outcome"),
    [
        ('"reject"', "DeadLetter: not this one"),
        ('"later"', "Retry in 30 s: the mirror is busy"),
        ('"break"', "Retry: OSError: no such luck"),
    ],
)
def test_run_fails_with_the_reason_and_shows_a_traceback_only_if_asked(
    shell: Shell, payload: str, outcome: str
) -> None:
    assert shell("run", "alpha", "note", payload, "--id", "1") == (1, "", f"snqctl: job 1: {outcome}\n")
    traced = shell("run", "alpha", "note", '"break"', "--traceback")[2]
    assert "Traceback" in traced
    assert 'raise OSError("no such luck")' in traced


@pytest.mark.parametrize("arguments", [("gamma", "note", "1"), ("alpha", "nota", "1"), ("alpha", "note", "{")])
def test_run_refuses_wrong_use(shell: Shell, arguments: tuple[str, ...]) -> None:
    code, stdout, stderr = shell("run", *arguments)
    assert (code, stdout) == (2, "")
    assert len(stderr.splitlines()) == 1


def test_run_names_a_handler_that_can_not_be_imported(shell: Shell) -> None:
    shell.config.write_text(CONFIG.replace("noted.Note", "noted.Nota"))
    code, _, stderr = shell("run", "alpha", "note", "1")
    assert code == 2
    assert "[handlers] note: can't import noted.Nota" in stderr
    assert len(stderr.splitlines()) == 1


def test_follow_ups_of_run_go_to_the_queue(shell: Shell) -> None:
    code, stdout, _ = shell("run", "alpha", "chain", '"x"')
    assert code == 0
    assert stdout.endswith(": Ack, follow-up jobs enqueued: 1\n")
    assert shell.waiting() == 1
    assert shell.notes() == []


def test_without_a_queue_jobs_and_their_follow_ups_run_at_once(shell: Shell) -> None:
    shell.config.write_text(CONFIG + "[queue]\nenabled = no\n")
    assert shell("enqueue", "alpha", "chain", "-", input='"x"\n"y"\n') == (0, "accepted 2 jobs\n", "")
    assert sorted(shell.notes()) == ["note after x", "note after y"]
    code, stdout, stderr = shell("enqueue", "alpha", "note", '"reject"')
    assert (code, stdout) == (1, "accepted 0 jobs\n")
    assert stderr.endswith(": DeadLetter: not this one\n")
    code, stdout, stderr = shell("enqueue", "alpha", "chain", '"badly"')
    assert (code, stdout) == (1, "accepted 1 job\n")
    assert ": DeadLetter: not this one" in stderr
    assert not (shell.folder / "state").exists()


def test_an_interrupt_ends_immediate_mode_with_its_count(
    shell: Shell, started: Callable[..., subprocess.Popen[str]]
) -> None:
    shell.config.write_text(CONFIG + "[queue]\nenabled = no\n")
    process = started("enqueue", "alpha", "note", "-")
    assert process.stdin is not None
    process.stdin.write('"one"\n')
    process.stdin.flush()
    wait_until(shell.notes)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 1
    assert process.stdout is not None
    assert process.stdout.read() == "accepted 1 job\n"


def test_a_program_without_a_queue_runs_jobs_at_once(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.config.write_text(CONFIG + "[queue]\nenabled = no\n")
    monkeypatch.chdir(shell.folder)
    monkeypatch.syspath_prepend(str(shell.folder))
    with connect(shell.config) as queue:
        queue.enqueue("alpha", "note", "now")
        assert shell.notes() == ["note now"]
        with pytest.raises(NotAcknowledged, match="job order-7: DeadLetter: not this one"):
            queue.enqueue("alpha", "note", "reject", id="order-7")


def test_a_list_that_is_read_in_part_ends_quietly(shell: Shell) -> None:
    process = shell.start("sites", "--json")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    assert process.wait(30) in (0, 1)
    process.stderr.close()
