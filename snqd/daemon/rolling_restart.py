"""RollingRestart: every child makes way for a fresh one, with code and configuration as they are now."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from snqd.core.errors import SnqdError
from snqd.daemon.group import Group
from snqd.daemon.queue_daemon import QueueDaemon
from snqd.daemon.reload import NotTaken, Reload
from snqd.daemon.replacement import ReplacementFailed
from snqd.pipe.child_spec import SOLO


class RestartStopped(SnqdError):
    """A fresh child could not come up."""


class RollingRestart:
    """Restarts the children of a daemon. A fresh child that can't come up ends it, and all others go on."""

    log = Logger()

    def __init__(self, daemon: QueueDaemon, reload: Reload) -> None:
        self._daemon = daemon
        self._reload = reload
        self._under_way = False

    def roll(self) -> Deferred[int]:
        """Read the configuration and replace all children.

        :returns: fires with the number of children that were replaced, when the last old one is gone; fails with
            ConfigError where the configuration is wrong, and with RestartStopped.
        """
        if self._under_way:
            raise RestartStopped("a rolling restart is under way already: wait for its end, snqctl status shows it")
        self._under_way = True
        return Deferred.fromCoroutine(self._roll()).addBoth(self._ended)

    def _ended(self, result: Any) -> Any:
        self._under_way = False
        return result

    async def _roll(self) -> int:
        # While children drain, which may take long, sites must be able to change. Where the running children can't
        # follow, nothing else may.
        followed = await self._reload.run(self._change_first)
        return await (self._replace_all() if followed else self._reload.run(self._roll_into))

    async def _change_first(self) -> bool:
        """Go over to the configuration of now; returns whether the running children could."""
        try:
            await self._reload.go_over(*await self._reload.read())
        except NotTaken as error:
            # It may need new code, which only fresh children have.
            self.log.info("the running children can't take the configuration over: {error}", error=error)
            return False
        return True

    async def _roll_into(self) -> int:
        """Replace children by such as have another configuration; if that fails, the present one stays in force."""
        sources, settings = await self._reload.read()
        before = self._reload.sources
        self._reload.start_with(sources)
        try:
            count = await self._replace_all()
        except Exception:
            self._reload.start_with(before)  # and those that were replaced go back to it
            raise
        self._reload.take(sources, settings)
        return count

    async def _replace_all(self) -> int:
        self.log.info("rolling restart: every child is replaced, one after the other")
        count = 0
        for group in list(self._daemon.groups):
            if not group.stopping:
                count += await self._replace_group(group)
        self.log.info("rolling restart: done, children replaced: {count}", count=count)
        return count

    async def _replace_group(self, group: Group) -> int:
        if group.failed:
            group.retry()  # it has nobody to replace, and must not keep the others from it
            return 0
        count = 0
        while group.has(count + 1) and not group.stopping:
            await self._replace(group, count + 1)
            count += 1
        for slot, child in group.living():
            if slot.role == SOLO and slot.state == "up":
                child.stop()  # it comes back when it is needed
        return count

    async def _replace(self, group: Group, n: int) -> None:
        try:
            await group.replacements.replace(n, self._daemon.settings.daemon.drain_timeout)
        except ReplacementFailed as error:
            if self._daemon.stopping:
                raise RestartStopped("the daemon stops") from error
            stopped = RestartStopped(f"the rolling restart has stopped at child {n} of group {group.name}: {error}")
            self.log.error(
                "the rolling restart has stopped at child {n} of group {group}: {error}; all children that work go on",
                n=n,
                group=group.name,
                error=error,
            )
            raise stopped from error
