"""ExecHandler with real processes."""

import json
import os
import signal
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults, succeed
from twisted.internet.task import deferLater

from snqd.config.load import load
from snqd.config.settings import HandlerSettings
from snqd.config.sources import Sources
from snqd.core.clocks import unix_time
from snqd.core.job import Job
from snqd.core.outcome import ACK, Ack
from snqd.handlers.invoke import run
from snqd.handlers.loading import load_handler
from snqd.handlers.process import TERM_TO_KILL
from snqd.handlers.running_job import JobContext, RunningJob
from snqd.sites.registry import SiteRegistry

SNQ_INI = "/etc/snq.ini"
ALPHA = SiteRegistry(load(Sources(Path(SNQ_INI), {SNQ_INI: "[site:alpha]\n"}), plugins={})).get("alpha")
MEGABYTE = 1024 * 1024


@pytest.fixture
def start(tmp_path):
    """Starts a job on an exec handler whose command is a shell script; what is left is killed at the end."""
    handlers = []

    def start(script, body=b"null", timeout=30.0, attempt=1, handler=None):
        if handler is None:
            handler = make(script, timeout)
        job = Job(f"job-{len(handlers)}", "alpha", "shell", body, attempt=attempt)
        surroundings = JobContext(lambda site, queue: None, unix_time)
        outcome = run(handler, RunningJob(job, ALPHA, surroundings), reactor)
        return outcome if isinstance(outcome, Deferred) else succeed(outcome)

    def make(script, timeout=30.0):
        path = tmp_path / f"command-{len(handlers)}"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        target = f"exec: {path} {{site}} {{queue}} {{id}}"
        handlers.append(load_handler(HandlerSettings("shell", target, timeout=timeout), reactor))
        return handlers[-1]

    start.make = make
    yield start
    pytest_twisted.blockon(gatherResults([handler.close() for handler in handlers]))


async def until(condition):
    """Wait for a condition of the system that nothing tells of."""
    for _ in range(500):
        if condition():
            return
        await deferLater(reactor, 0.02)
    raise AssertionError("it never came true")


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pid_in(path):
    return int(path.read_text()) if path.exists() and path.read_text().strip() else None


@pytest_twisted.ensureDeferred
async def test_a_command_gets_its_job_by_arguments_environment_and_stdin(start, tmp_path):
    got = tmp_path / "got"
    script = f'{{ echo "$@"; echo $SNQD_SITE $SNQD_QUEUE $SNQD_JOB $SNQD_ATTEMPT; cat; }} > {got}'
    outcome = await start(script, b'{"id": 7}', attempt=3)
    assert outcome is ACK
    assert got.read_text().splitlines() == ["alpha shell job-1", "alpha shell job-1 3", '{"id":7}']


@pytest.mark.parametrize(
    ("script", "shown"),
    [
        ("exit 0", "Ack()"),
        ("echo broken >&2; exit 65", "DeadLetter(reason='exit code 65: broken', traceback='')"),
        ("echo busy >&2; exit 75", "Retry(reason='exit code 75: busy', delay=None, traceback='')"),
        ("exit 1", "Retry(reason='exit code 1', delay=None, traceback='')"),
        ("kill -SEGV $$", "Retry(reason='killed by signal 11 (SIGSEGV)', delay=None, traceback='')"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_the_way_a_command_ends_is_the_outcome(start, script, shown):
    assert repr(await start(script)) == shown


@pytest.mark.parametrize("script", ["exec <&-; sleep 0.1", "sleep 0.1", "true", "head -c 5 > /dev/null"])
@pytest_twisted.ensureDeferred
async def test_a_command_need_not_read_its_payload(start, script):
    assert await start(script, json.dumps("x" * 10 * MEGABYTE).encode()) is ACK


@pytest_twisted.ensureDeferred
async def test_a_large_payload_arrives_whole(start, tmp_path):
    got = tmp_path / "got"
    body = json.dumps("x" * 10 * MEGABYTE).encode()
    assert await start(f"cat > {got}", body) is ACK
    assert got.read_bytes() == body


@pytest_twisted.ensureDeferred
async def test_a_flood_of_output_does_not_block_or_grow(start):
    outcome = await start(
        "head -c 20000000 /dev/zero; head -c 20000000 /dev/zero >&2; echo >&2; echo at last >&2; exit 1"
    )
    assert outcome.reason == "exit code 1: at last"


@pytest_twisted.ensureDeferred
async def test_a_command_leads_a_session_of_its_own(start, tmp_path):
    got = tmp_path / "got"
    assert await start(f"cut -d' ' -f1,5,6 /proc/$$/stat > {got}") is ACK
    pid, group, session = got.read_text().split()
    assert pid == group == session
    assert int(session) != os.getsid(0)


@pytest_twisted.ensureDeferred
async def test_a_timeout_ends_the_command_with_its_descendants(start, tmp_path):
    pids = [tmp_path / "leader", tmp_path / "descendant"]
    waiting = start(f"sh -c 'echo $$ > {pids[1]}; exec sleep 600' & echo $$ > {pids[0]}; wait", timeout=1.0)
    await until(lambda: all(map(pid_in, pids)))
    outcome = await waiting
    assert outcome.reason == "ran longer than its timeout of 1 s"
    await until(lambda: not any(is_alive(pid_in(path)) for path in pids))


@pytest_twisted.ensureDeferred
async def test_a_command_that_ignores_sigterm_is_killed(start, tmp_path):
    pid = tmp_path / "pid"
    waiting = start(f"trap '' TERM; echo $$ > {pid}; while :; do sleep 1; done")
    await until(lambda: pid_in(pid))
    waiting.addErrback(lambda failure: failure.trap(CancelledError))
    began = reactor.seconds()
    waiting.cancel()
    assert is_alive(pid_in(pid))
    await until(lambda: not is_alive(pid_in(pid)))
    assert reactor.seconds() - began > TERM_TO_KILL - 0.5


@pytest_twisted.ensureDeferred
async def test_closing_kills_at_once(start, tmp_path):
    pid = tmp_path / "pid"
    handler = start.make(f"trap '' TERM; echo $$ > {pid}; while :; do sleep 1; done")
    waiting = start(None, handler=handler)
    await until(lambda: pid_in(pid))
    await handler.close()
    assert not is_alive(pid_in(pid))
    assert (await waiting).reason == "killed by signal 9 (SIGKILL)"


@pytest_twisted.ensureDeferred
async def test_what_a_command_leaves_running_does_not_hold_its_job(start, tmp_path):
    pid = tmp_path / "pid"
    outcome = await start(f"sh -c 'echo $$ > {pid}; exec sleep 600' & while [ ! -s {pid} ]; do :; done; exit 0")
    assert outcome is ACK
    assert is_alive(pid_in(pid))
    os.kill(pid_in(pid), signal.SIGKILL)


@pytest_twisted.ensureDeferred
async def test_fifty_commands_run_at_once(start):
    handler = start.make("cat > /dev/null; sleep 0.2")
    body = json.dumps("x" * 200_000).encode()
    outcomes = await gatherResults([start(None, body, handler=handler) for _ in range(50)])
    assert outcomes == [Ack()] * 50
