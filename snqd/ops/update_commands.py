"""What a running daemon can be asked to change over the control socket: its configuration, and its children."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from snqd.config.config_diff import Changes
from snqd.config.problems import quoted
from snqd.core.errors import ConfigError, SnqdError
from snqd.daemon.queue_daemon import QueueDaemon
from snqd.daemon.reload import Reload
from snqd.daemon.rolling_restart import RollingRestart
from snqd.ops.control_server import Command


class Notices(Protocol):
    """Who wants to know when the configuration is read anew."""

    def reloading(self) -> None:
        """It begins."""

    def reloaded(self) -> None:
        """It has ended, well or not."""


class UpdateCommands:
    """`update` and `restart`, also for signals.

    An answer that has `problems` says why nothing was changed; `traceback` is that of a handler that can't be loaded.
    """

    log = Logger()

    def __init__(self, daemon: QueueDaemon, reload: Reload, rolling: RollingRestart, notices: Notices) -> None:
        self._daemon = daemon
        self._notices = notices
        self._reload = reload
        self._rolling = rolling

    def commands(self) -> dict[str, Command]:
        """By name."""
        return {"update": self.update, "restart": self.restart}

    def update(self, request: Mapping[str, Any]) -> Deferred[dict[str, Any]]:
        """Reload the configuration, or the sites alone if the request names a `site`."""
        site = request.get("site")
        self._notices.reloading()
        changed = self._reload.update() if site is None else self._reload.look(afresh=True)
        return changed.addCallback(self._updated, site).addErrback(self._refused).addBoth(self._done)

    def _done(self, result: Any) -> Any:
        self._notices.reloaded()
        return result

    def _updated(self, changes: Changes, site: str | None) -> dict[str, Any]:
        if site is not None and site not in self._daemon.settings.sites and site not in changes.sites.removed:
            problem = f"site {quoted(str(site))} is not configured in {self._daemon.settings.path}"
            self.log.info("an update is for nobody here: {problem}", problem=problem)  # other hosts may know the site
            return {"problems": [problem], "traceback": ""}
        return {"problems": [], "traceback": "", **changes.as_json()}

    def restart(self, request: Mapping[str, Any]) -> Deferred[dict[str, Any]]:
        """Replace all children, one after the other; answers when that is done."""
        rolled = self._rolling.roll()
        return rolled.addCallback(lambda count: {"problems": [], "replaced": count}).addErrback(self._refused)

    def _refused(self, failure: Failure) -> dict[str, Any]:
        failure.trap(ConfigError)
        error: Any = failure.value
        self.log.error(
            "the configuration stays as it was, since the new one is wrong:\n{problems}",
            problems="\n".join(error.problems),
        )
        return {"problems": error.problems, "traceback": getattr(error, "traceback", "")}

    def hang_up(self) -> None:
        """SIGHUP: reload."""
        self.log.info("SIGHUP: the configuration is read again")
        self._watched(self.update({}))

    def user_signal(self) -> None:
        """SIGUSR2: restart."""
        self.log.info("SIGUSR2: a rolling restart is asked for")
        try:
            self._watched(self.restart({}))
        except SnqdError as error:
            self.log.warn("no rolling restart: {error}", error=error)

    def _watched(self, done: Deferred[Any]) -> None:
        done.addErrback(self._log_failure)

    def _log_failure(self, failure: Failure) -> None:
        if failure.check(SnqdError) is None:  # those were logged where they arose
            self.log.failure("a change that a signal asked for broke", failure)
