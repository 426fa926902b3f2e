"""Crew: a peer's workers in processes of their own, and what is sent to them."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import attrs
import psutil

from benchmarks.figures import Figure
from benchmarks.places import Place
from benchmarks.sheet import Sheet

SCRIPTS = Path(sys.executable).parent
CHECKOUT = Path(__file__).resolve().parents[2]


@attrs.frozen
class Peer:
    """A program that works a queue off.

    :ivar module: of this package, with its jobs.
    :ivar workers: the command lines of its workers, in which NAME and URL stand for the queue's name and the server.
    :ivar number: of jobs, so that a run takes some seconds.
    :ivar note: settings that matter.
    :ivar at_once: how many jobs one of its processes works on.
    :ivar protocol: what it speaks with a broker that knows several.
    """

    name: str
    module: str
    workers: tuple[tuple[str, ...], ...]
    number: int
    note: str = ""
    at_once: int = 10
    protocol: str = ""

    @property
    def told(self) -> str:
        """Name and settings."""
        return f"{self.name}: {self.note}" if self.note else self.name


class Crew:
    """A context manager that leaves no process behind."""

    def __init__(self, peer: Peer, place: Place) -> None:
        self._peer = peer
        self._names = {"NAME": place.fresh(), "URL": place.url(peer.protocol)}
        self._folder = Path(tempfile.mkdtemp(prefix="snqd-benchmark-"))
        self.sheet = Sheet(self._folder)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(CHECKOUT),
            "SNQD_BENCHMARK_URL": self._names["URL"],
            "SNQD_BENCHMARK_NAME": self._names["NAME"],
            "SNQD_BENCHMARK_SHEET": str(self._folder),
            "SNQD_BENCHMARK_AT_ONCE": str(peer.at_once),
        }

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in self._processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                family = psutil.Process(process.pid).children(recursive=True)
                process.kill()
                for each in family:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        each.kill()
            process.wait()
        if error is not None:
            print((self._folder / "log").read_text()[-3000:], file=sys.stderr)
        shutil.rmtree(self._folder)

    def send(self, how: str, *words: object) -> float:
        """See :mod:`benchmarks.peers.send`; returns jobs a second."""
        command = [sys.executable, "-m", "benchmarks.peers.send", self._peer.module, how, *map(str, words)]
        with (self._folder / "log").open("ab") as log:
            ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=log, env=self._environment)
        return float(ran.stdout.split()[-1])

    def fill(self, task: str, argument: str, number: int) -> float:
        """Put jobs on the queue before its workers start."""
        rate = self.send("fill", f'"{task}"', argument, number)
        os.sync()
        return rate

    def start(self) -> None:
        """Start the workers."""
        with (self._folder / "log").open("ab") as log:
            for program, *words in self._peer.workers:
                command = [str(SCRIPTS / program), *(self._names.get(word, word) for word in words)]
                self._processes.append(
                    subprocess.Popen(command, cwd=self._folder, env=self._environment, stdout=log, stderr=log)
                )


def tried(peer: Peer, place: Place, measure: Callable[[Crew], list[float]]) -> list[float]:
    """What `measure` gives for a crew of the peer's, nothing if that fails: then its log is printed, and why."""
    try:
        with Crew(peer, place) as crew:
            return measure(crew)
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"{peer.told} failed: {error}", file=sys.stderr)
        return []


def beside(
    name: str,
    value: float,
    unit: str,
    peer: Peer,
    theirs: list[float],
    figure: Callable[[list[float]], float],
    note: str,
) -> Figure:
    """snqd's `value` beside the peer's `figure` of what it gave."""
    if not theirs:
        return Figure(name, value, unit, peer.told, note="failed, see its log above")
    return Figure(name, value, unit, peer.told, figure(theirs), note=note)
