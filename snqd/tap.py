"""``twistd snqd``: its options, and the service that they make."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python import usage

from snqd.config.load import Overrides, load
from snqd.config.source_reader import SourceReader
from snqd.core.clocks import make_steady
from snqd.core.errors import SnqdError
from snqd.daemon.folder_watch import FolderWatch
from snqd.daemon.launcher import CHILD_MODULE, Launcher
from snqd.daemon.memory_total import system_memory
from snqd.daemon.news import DaemonNews
from snqd.daemon.operator_signals import OperatorSignals
from snqd.daemon.queue_daemon import QueueDaemon
from snqd.daemon.reload import Reload
from snqd.daemon.rolling_restart import RollingRestart
from snqd.daemon.site_watch import SiteWatch
from snqd.daemon.systemd import SdNotify, SystemdNotices, manager_of
from snqd.ops.broadcasts import Broadcasts, trust_of
from snqd.ops.control_server import ControlServer, daemon_commands
from snqd.ops.log_output import LoggedService
from snqd.ops.update_commands import UpdateCommands
from snqd.pipe.text_streams import write_utf8


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

    write_utf8(sys.stdout, sys.stderr)
    make_steady(reactor)
    try:
        daemon = make_service(reactor, Path(options["config"]), Overrides(options["threads"], options["id"]))
    except SnqdError as error:
        raise SystemExit(str(error)) from None
    return LoggedService(daemon, options.parent or {}, reactor, daemon.settings.daemon, daemon.levels)


def make_service(reactor: Any, config: Path, overrides: Overrides, child_module: str = CHILD_MODULE) -> QueueDaemon:
    """The same, with what it needs passed in.

    :raises SnqdError: where this daemon can't start.
    """
    reader = SourceReader(config)
    sources = reader.read()
    settings = load(sources, overrides)
    news = DaemonNews()
    launcher = Launcher(reactor, settings.daemon.id, sources, overrides, news, child_module)
    daemon = QueueDaemon(launcher, news, settings, system_memory(), os.getpid, reactor.stop)
    daemon.check()
    trust_of(settings.queue)  # a key that can't be read is better told now
    reload = Reload(reactor, launcher, daemon, reader, partial(_in_thread, reactor))
    notices = SystemdNotices(reactor, daemon, SdNotify(manager_of(os.environ, os.getpid())))
    changes = UpdateCommands(daemon, reload, RollingRestart(daemon, reload), notices)
    broadcasts = Broadcasts(daemon, changes)
    folders = FolderWatch(reactor, lambda: watch.changed())
    watch = SiteWatch(reactor, reload, folders)
    news.heard.subscribe(broadcasts.heard)
    news.sites_missed.subscribe(watch.missed)
    news.child_up.subscribe(reload.bring_up_to_date)
    commands = {**daemon_commands(daemon), **changes.commands(), **broadcasts.commands()}
    services = [
        # Below the daemon, since only the holder of its lock may replace a socket that is there.
        ControlServer(reactor, settings.daemon.control, commands),
        OperatorSignals(reactor, {signal.SIGHUP: changes.hang_up, signal.SIGUSR2: changes.user_signal}),
        notices,
        folders,
        watch,
    ]
    for service in services:
        service.setServiceParent(daemon)
    return daemon


def _in_thread(reactor: Any, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
    # The pool is asked for at the time of need: a process that is yet to become a daemon has none.
    return deferToThreadPool(reactor, reactor.getThreadPool(), function, *arguments)
