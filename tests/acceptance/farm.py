"""Farm: a configuration, its daemon and snqctl, as an operator has them, none of whose processes survives its test."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import psutil
from journal import Journal
from waiting import LONGEST_WAIT, exit_code, wait_until

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
TWISTD = (str(Path(sys.executable).parent / "twistd"),)
# Not the console script: a checkout that is only on the path has none.
SNQCTL = (sys.executable, "-c", "import sys; from snqd.snqctl.main import main; sys.exit(main())")

# Every process of a farm inherits this variable with a value of the farm's own, which is how the last of them is found.
MARK = "SNQ_ACCEPTANCE_FARM"

START_TIMEOUT = 30.0
STOP_TIMEOUT = 45.0
# The states of a child that does not take jobs: yet, or any more.
NOT_UP = {"init", "waiting", "hung", "shutdown"}

HANDLERS = {
    name.lower(): f"farm_handlers.{name}"
    for name in ("Note", "Later", "Picky", "Leaky", "Stuck", "Killer", "Chain", "Until")
}

Sections = Mapping[str, Mapping[str, object]]


def start_all(farms: Iterable[Farm]) -> None:
    """Start the daemons of several farms at the same time, and wait until their children are ready."""
    farms = list(farms)
    for farm in farms:
        farm.spawn("-n", "--pidfile=")
    for farm in farms:
        farm.wait_ready()


class Farm:
    """One farm in a folder of its own.

    :param folder: an empty folder.
    :param handlers: ``[handlers]``, in addition to those of :mod:`farm_handlers`.
    :param sections: further sections and keys of snq.ini; they win over the farm's own.
    :param source: a configuration to take as it is, instead of all that.
    :param prefix: a command that runs the farm's commands, such as one that gives up privileges.
    :param packages: folders of installed packages, which its processes find before all others.
    """

    def __init__(
        self,
        folder: Path,
        *,
        sites: Iterable[str] = ("alpha", "beta"),
        handlers: Mapping[str, str] | None = None,
        sections: Sections | None = None,
        source: str | None = None,
        prefix: tuple[str, ...] = (),
        packages: Iterable[Path] = (),
    ) -> None:
        self.folder = folder
        self.config = folder / "snq.ini"
        self.log_path = folder / "daemon.log"
        self.state_dir = folder / "state"
        self.journal = Journal(folder / "journal")
        self.locale: dict[str, str] = {}
        self._prefix = prefix
        self._packages = list(packages)
        self._mark = secrets.token_hex(8)
        self._daemons: list[subprocess.Popen[bytes]] = []
        self.config.write_text(source or ini(self._sections(sites, handlers or {}, sections or {})))

    def _sections(self, sites: Iterable[str], handlers: Mapping[str, str], sections: Sections) -> Sections:
        own: dict[str, dict[str, object]] = {
            "snqd": {"id": "farm", "threads": 2, "drain_timeout": 10},
            "queue": {"spawndelay": 0.2},
            "handlers": {**HANDLERS, **handlers},
            "app:farm": {"journal": self.journal.path},
            **{f"site:{site}": {"server": f"{site}.example"} for site in sites},
        }
        for name, keys in sections.items():
            own.setdefault(name, {}).update(keys)
        return own

    # The daemon.

    @property
    def daemon(self) -> subprocess.Popen[bytes]:
        """The daemon that was started last."""
        return self._daemons[-1]

    @property
    def daemon_pid(self) -> int:
        """The pid of the daemon that answers."""
        return int(self.status()["daemon"]["pid"])

    def start(self, *arguments: str) -> None:
        """Start the daemon in the foreground and wait until its children are ready.

        :param arguments: for ``twistd snqd``.
        """
        self.spawn("-n", "--pidfile=", plugin=arguments)
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until the children of the daemon that was started last are ready."""
        daemon = self.daemon
        wait_until(lambda: self.ready() or daemon.poll() is not None, START_TIMEOUT, "a ready daemon")
        assert daemon.poll() is None, f"the daemon ended with {daemon.returncode}:\n{self.log()}"

    def spawn(self, *options: str, plugin: Iterable[str] = ()) -> subprocess.Popen[bytes]:
        """Start ``twistd OPTIONS snqd --config ... PLUGIN`` and wait for nothing."""
        command = [*self._prefix, *TWISTD, *options, "snqd", "--config", str(self.config), *plugin]
        with self.log_path.open("ab") as log:
            daemon = subprocess.Popen(
                command, cwd=self.folder, env=self.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._daemons.append(daemon)
        return daemon

    def environment(self) -> dict[str, str]:
        path = os.pathsep.join(map(str, [*self._packages, HERE, CHECKOUT]))
        return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", MARK: self._mark, **self.locale}

    def ready(self) -> bool:
        """Whether the daemon answers and all its children take jobs."""
        status = self.status()
        groups = status["groups"] if status.get("daemon") else []
        children = [child for group in groups for child in group["children"]]
        return bool(children) and not any(child["state"] in NOT_UP for child in children)

    def child_pids(self) -> list[int]:
        """The pids of the living children, as the daemon tells them."""
        return [child["pid"] for group in self.status()["groups"] for child in group["children"] if child["pid"]]

    def kill(self, pid: int, sig: signal.Signals = signal.SIGKILL) -> None:
        """Send `sig` to a process of this farm, one that is gone already included."""
        try:
            environment = psutil.Process(pid).environ()
            # Empty in a process that is just about to be gone.
            assert not environment or environment.get(MARK) == self._mark, f"{pid} is not ours"
            os.kill(pid, sig)
        except (psutil.NoSuchProcess, ProcessLookupError):
            return

    def stop(self) -> int:
        """``snqctl stop``, and the daemon's exit code."""
        answer = self.snqctl("stop")
        assert answer.returncode == 0, answer.stderr
        return exit_code(self.daemon, STOP_TIMEOUT)

    def log(self) -> str:
        """What the daemons have logged so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    # snqctl.

    def snqctl(
        self, *arguments: object, input: str | None = None, timeout: float = LONGEST_WAIT
    ) -> subprocess.CompletedProcess[str]:
        """Run ``snqctl --config ... ARGUMENTS`` to its end."""
        command = [*self._prefix, *SNQCTL, "--config", str(self.config), *map(str, arguments)]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(),
            input=input or "",
            capture_output=True,
            encoding="utf-8",
            timeout=timeout,
        )

    def enqueue(self, *arguments: object, input: str | None = None) -> None:
        """``snqctl enqueue ARGUMENTS``, which must accept everything."""
        answer = self.snqctl("enqueue", *arguments, input=input)
        assert answer.returncode == 0, answer.stderr

    def status(self) -> dict[str, Any]:
        """``snqctl status --json``; its "daemon" is None while none answers."""
        return json.loads(self.snqctl("status", "--json").stdout or "{}")  # type: ignore[no-any-return]

    def queue(self, name: str) -> dict[str, Any]:
        """The row of queue `name` in the status."""
        return next(row for row in self.status()["queues"] if row["queue"] == name)

    def dead(self) -> list[dict[str, Any]]:
        """``snqctl dead list --json``."""
        return json.loads(self.snqctl("dead", "list", "--json").stdout)  # type: ignore[no-any-return]

    # The end.

    def processes(self) -> list[psutil.Process]:
        """The farm's living processes, whoever their parent is now."""
        return [process for process in psutil.process_iter() if _mark_of(process) == self._mark]

    def close(self) -> None:
        """End every process of the farm, and say in the test's report what the daemons logged."""
        for process in self.processes():
            self.kill(process.pid)
        for daemon in self._daemons:
            exit_code(daemon, STOP_TIMEOUT)
        wait_until(lambda: not self._still_there(), STOP_TIMEOUT, "the end of all of the farm's processes")
        print(f"--- {self.log_path}\n{self.log()[-20000:]}")  # noqa: T201

    def _still_there(self) -> list[psutil.Process]:
        for process in (left := self.processes()):
            self.kill(process.pid)
        return left


def ini(sections: Sections) -> str:
    """The text of an INI file."""
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items()) for name, keys in sections.items()
    )


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie, that nobody has waited for yet, does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _mark_of(process: psutil.Process) -> str | None:
    try:
        mark: str | None = process.environ().get(MARK) if alive(process.pid) else None
    except (psutil.Error, OSError):
        return None
    return mark
