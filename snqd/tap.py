"""``twistd snqd``: its options, and the service that they make."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.python import usage

from snqd.config.load import Overrides, load
from snqd.config.sources import read_sources
from snqd.core.errors import SnqdError
from snqd.daemon.launcher import CHILD_MODULE, Launcher
from snqd.daemon.memory_total import system_memory
from snqd.daemon.queue_daemon import QueueDaemon
from snqd.daemon.sd_notify import SdNotify, manager_of
from snqd.daemon.systemd import SystemdNotices
from snqd.ops.control_server import ControlServer, daemon_commands
from snqd.ops.log_output import LoggedService


class Options(usage.Options):
    """What stands behind ``twistd snqd``."""

    synopsis = "[options]"
    longdesc = "snqd: the background work of many sites in one daemon."
    optParameters = [
        ["config", "c", None, "The main configuration file."],
        ["threads", None, None, "Children of group main, instead of what the configuration says.", int],
        ["id", None, None, "This daemon's id, instead of what the configuration says."],
    ]

    def postOptions(self) -> None:
        """There is no daemon without a configuration."""
        if not self["config"]:
            raise usage.UsageError("--config FILE is missing: name the main configuration file, such as etc/snq.ini")


def makeService(options: Options) -> LoggedService:
    """The daemon with its log and its control socket, not started, and nothing opened: twistd may yet become a daemon.

    :raises SystemExit: with the problems, one a line, where this daemon can't start.
    """
    from twisted.internet import reactor

    try:
        daemon = make_service(reactor, Path(options["config"]), Overrides(options["threads"], options["id"]))
    except SnqdError as error:
        raise SystemExit(str(error)) from None
    return LoggedService(daemon, options.parent or {}, reactor, daemon.settings.daemon, daemon.levels)


def make_service(reactor: Any, config: Path, overrides: Overrides, child_module: str = CHILD_MODULE) -> QueueDaemon:
    """The same, with what it needs passed in.

    :raises SnqdError: where this daemon can't start.
    """
    sources = read_sources(config)
    settings = load(sources, overrides)
    launcher = Launcher(reactor, settings.daemon.id, sources, overrides, child_module)
    daemon = QueueDaemon(launcher, settings, system_memory(), os.getpid, reactor.stop)
    daemon.check()
    # Below the daemon, since only the holder of its lock may replace a socket that is there.
    ControlServer(reactor, settings.daemon.control, daemon_commands(daemon)).setServiceParent(daemon)  # type: ignore[no-untyped-call]
    notify = SdNotify(manager_of(os.environ, os.getpid()))
    SystemdNotices(reactor, daemon, notify).setServiceParent(daemon)  # type: ignore[no-untyped-call]
    return daemon
