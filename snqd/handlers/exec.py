"""ExecHandler: hands each job to an external command, ``exec: command {site} {queue} {id}``."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
from collections.abc import Iterable
from typing import Any, cast

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorProcess
from twisted.logger import Logger

from snqd.config.settings import HandlerSettings
from snqd.handlers.process import ProcessEnd, RunningCommand
from snqd.handlers.queue_handler import QueueHandler, Reject, RetryLater
from snqd.handlers.running_job import RunningJob
from snqd.wire.payload import to_json_text

EX_DATAERR = 65
EX_TEMPFAIL = 75
MAX_LOGGED_LINES = 500


class ExecHandler(QueueHandler):
    """Runs a command for each job, without a shell: the payload is JSON on its stdin, its exit code decides.

    0 acknowledges, 65 rejects; 75, every other code and death by a signal follow the retry policy. The command
    finds SNQD_SITE, SNQD_QUEUE, SNQD_JOB and SNQD_ATTEMPT beside the daemon's environment. It leads a session of
    its own, whose process group is ended as a whole when the job times out; what a command leaves behind when it
    ends by itself is left alone. The ends of its output go to the log, at debug level.
    """

    log = Logger()

    def __init__(self, settings: HandlerSettings) -> None:
        super().__init__(settings)
        self._template = shlex.split(settings.target.removeprefix("exec:"))
        if not self._template:
            raise ValueError("exec: names no command")
        self._running: set[RunningCommand] = set()

    def start(self) -> None:
        """Check that the command is there.

        :raises FileNotFoundError: if it is not, or must not be executed.
        """
        self._setsid = _executable("setsid")
        if "{" not in self._template[0]:
            _executable(self._template[0])

    def close(self) -> Deferred[Any]:
        """Kill what still runs; fires when it is gone."""
        running = list(self._running)
        for command in running:
            command.kill()
        return DeferredList([command.gone for command in running])

    async def handle(self, job: RunningJob) -> None:
        """Run the command and turn the way it ends into the job's outcome."""
        command = RunningCommand(self.reactor, to_json_text(job.payload).encode())
        self._spawn(command, self._argv(job), job)
        ending = await command.ended
        self._log_output(ending, job)
        if ending.code == 0:
            return
        if ending.code == EX_DATAERR:
            raise Reject(_reason(ending))
        raise RetryLater(None, _reason(ending))

    def _spawn(self, command: RunningCommand, argv: list[str], job: RunningJob) -> None:
        environment = os.environ | {
            "SNQD_SITE": job.site.nickname,
            "SNQD_QUEUE": job.queue,
            "SNQD_JOB": job.id,
            "SNQD_ATTEMPT": str(job.attempt),
        }
        try:
            in_session = [self._setsid, _executable(argv[0]), *argv[1:]]
            cast(IReactorProcess, self.reactor).spawnProcess(command, self._setsid, in_session, environment)
        except OSError as error:
            raise RetryLater(None, f"can't run {argv[0]}: {error}") from error
        self._running.add(command)
        command.gone.addCallback(lambda _: self._running.discard(command))

    def _argv(self, job: RunningJob) -> list[str]:
        return [_filled(part, job) for part in self._template]

    def _log_output(self, ending: ProcessEnd, job: RunningJob) -> None:
        for stream, data in (("stdout", ending.stdout), ("stderr", ending.stderr)):
            for line in _lines(data)[-MAX_LOGGED_LINES:]:
                self.log.debug(
                    "{stream} of job {job}, queue {queue}, site {site}: {line}",
                    stream=stream,
                    job=job.id,
                    queue=job.queue,
                    site=job.site.nickname,
                    line=line,
                )


def _filled(part: str, job: RunningJob) -> str:
    filled = part.replace("{site}", job.site.nickname).replace("{queue}", job.queue).replace("{id}", job.id)
    if filled.startswith("-") and not part.startswith("-"):
        raise Reject(f"the command would take {filled} for an option: write it as --option={part} or after --")
    return filled


def _executable(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(
            f"no executable file {name!r}" + ("" if "/" in name else f" on the PATH {os.environ.get('PATH', '')}")
        )
    return os.path.abspath(found)


def _reason(ending: ProcessEnd) -> str:
    if ending.signal is not None:
        how = f"killed by signal {ending.signal} ({_signal_name(ending.signal)})"
    else:
        how = f"exit code {ending.code}"
    complaint = next(reversed(_lines(ending.stderr)), "")
    return f"{how}: {complaint}" if complaint else how


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "real-time"


def _lines(data: bytes) -> list[str]:
    return [line for line in map(str.strip, _printable(data)) if line]


def _printable(data: bytes) -> Iterable[str]:
    return data.decode("utf-8", "backslashreplace").splitlines()
