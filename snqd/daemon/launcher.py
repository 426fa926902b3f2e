"""Launcher: starts child processes, all with the same configuration."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Collection
from random import Random
from typing import Any

import attrs

from snqd.config.load import Overrides
from snqd.config.sources import Sources
from snqd.daemon.child_process import ChildNews, ChildOwner, ChildProcess
from snqd.pipe.child_spec import ChildSpec, child_id
from snqd.pipe.commands import CHILD_READS, CHILD_WRITES
from snqd.pipe.log_levels import LogLevels
from snqd.pipe.version import VERSION

CHILD_MODULE = "snqd.child.child"
_PIPES = {0: "w", 1: "r", 2: "r", CHILD_READS: "w", CHILD_WRITES: "r"}


@attrs.define
class Launcher:
    """What all children have in common.

    :ivar reactor: IReactorProcess and IReactorTime.
    :ivar daemon_id: ``[snqd] id``, or ``--id``.
    :ivar sources: the configuration for those that start from now on.
    :ivar news: told what concerns the whole daemon.
    :ivar random: for times that must not coincide.
    :ivar levels: of this daemon's log.
    :ivar module: what the interpreter runs.
    """

    reactor: Any
    daemon_id: str
    sources: Sources
    overrides: Overrides
    news: ChildNews
    module: str = CHILD_MODULE
    random: Random = attrs.field(factory=Random)
    levels: LogLevels = attrs.field(factory=LogLevels)
    _start: str = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._start = self.sources.main

    def launch(
        self, group: str, n: int, role: str, owner: ChildOwner, standby: bool = False, gone: Collection[str] = ()
    ) -> ChildProcess:
        """Start a child in place `n` of `group`, with this process's whole environment.

        :param standby: whether it waits for TakeOver before it starts what may run only once.
        :param gone: the incarnations that were in its place before and are dead.
        :raises OSError: where no process can be made.
        """
        place = child_id(self.daemon_id, group, n)
        spec = ChildSpec(
            version=VERSION,
            sources=self.sources.to_json(),
            threads=self.overrides.threads,
            daemon_id=self.overrides.id,
            group=group,
            n=n,
            id=place,
            incarnation=f"{place}-{secrets.token_hex(6)}",
            role=role,
            start="" if self.sources.main == self._start else self._start,
            standby=standby,
            gone=tuple(gone),
            log_levels=dict(self.levels.changed),
        )
        child = ChildProcess(self.reactor, spec, self.sources, owner, self.news)
        # The id is there for those who read the output of ps.
        argv = [sys.executable, "-m", self.module, place]
        self.reactor.spawnProcess(child, sys.executable, argv, env=None, childFDs=_PIPES)
        return child
