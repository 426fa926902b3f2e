"""Reload: another configuration for a running daemon, checked whole, then taken over by parent and children."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred, DeferredList, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from snqd.config.config_diff import Changes, compare, keep_restart_only, keep_restart_only_groups
from snqd.config.load import ReloadedSites, load, reload_sites
from snqd.config.settings import Settings
from snqd.config.source_reader import SourceReader, SourceScan
from snqd.config.sources import SourceChanges, Sources
from snqd.core.errors import ConfigError
from snqd.core.threads import InThread
from snqd.daemon.child_process import ChildProcess
from snqd.daemon.launcher import Launcher
from snqd.pipe.commands import CommandFailed, Commit, Drop, Prepare

PREPARE_TIMEOUT = 30.0
"""Seconds that a child gets to prepare for another configuration."""


class NotTaken(ConfigError):
    """The configuration is right as text, but children can't work by it.

    :ivar traceback: of the first that said so, empty where there is none.
    """

    def __init__(self, problems: list[str], traceback: str) -> None:
        super().__init__(problems)
        self.traceback = traceback


class Crew(Protocol):
    """The daemon whose configuration it is."""

    @property
    def settings(self) -> Settings:
        """Those in force."""

    def children_at_work(self) -> Sequence[ChildProcess]:
        """The children that take requests."""

    def apply(self, settings: Settings) -> None:
        """Go over to `settings`, with groups and their children."""

    def retry(self) -> None:
        """Start at once what waits for its next start."""


class Reload:
    """Changes the configuration, one change at a time. Whatever goes wrong, the old one stays in force.

    :param reader: reads the files; it has read them once.
    :param in_thread: runs what takes long.
    """

    log = Logger()

    def __init__(
        self, clock: IReactorTime, launcher: Launcher, crew: Crew, reader: SourceReader, in_thread: InThread
    ) -> None:
        self._clock = clock
        self._launcher = launcher
        self._crew = crew
        self._reader = reader
        self._in_thread = in_thread
        self._lock = DeferredLock()
        self._fixed = crew.settings.daemon, crew.settings.queue
        self._told: set[str] = set()
        self._in_force = {launcher.sources.digest}
        """Digests of the configuration in force, and of texts of it that mean the same."""

    @property
    def reader(self) -> SourceReader:
        """What reads the files."""
        return self._reader

    @property
    def sources(self) -> Sources:
        """The text of the configuration in force."""
        return self._launcher.sources

    @property
    def busy(self) -> bool:
        """Whether a change is under way."""
        return bool(self._lock.locked)

    def run(self, change: Callable[[], Any]) -> Deferred[Any]:
        """Call a coroutine function when no other change is under way, and let none begin before it has ended."""
        ran: Deferred[Any] = self._lock.run(lambda: Deferred.fromCoroutine(self._try(change)))
        return ran

    async def _try(self, change: Callable[[], Any]) -> Any:
        try:
            return await change()
        except Exception:
            self._reader.forget()  # files that were read and not taken must count as changed
            raise
        finally:
            await self._bring_all()

    def update(self) -> Deferred[Changes]:
        """Read all files again and go over to what they say; children that failed are tried again in any case.

        :returns: what has changed; fails with ConfigError, the old configuration then being in force.
        """
        return self.run(self._update)

    def look(self, files: bool = True, afresh: bool = False) -> Deferred[Changes]:
        """Go over to sites that have changed, but for those that are wrong: these stay as they are, and it is logged.

        :param files: look at the files, not at the table alone.
        :param afresh: read the table though it seems unchanged.
        """

        async def look() -> Changes:
            return await self._with_children(await self._look(files, afresh))

        return self.run(look)

    async def _update(self) -> Changes:
        sources, settings = await self.read()
        changes = await self.go_over(sources, settings)
        self._told.clear()
        self._crew.retry()
        return await self._with_children(changes)

    async def _with_children(self, changes: Changes) -> Changes:
        """`changes`, and which children had to be brought up to date for it."""
        return attrs.evolve(changes, children=tuple(await self._bring_all()))

    async def read(self) -> tuple[Sources, Settings]:
        """What the files say now; raises ConfigError."""

        def read_and_load() -> tuple[Sources, Settings]:
            sources = _digested(self._reader.read())
            return sources, load(sources, self._launcher.overrides)

        read: tuple[Sources, Settings] = await self._in_thread(read_and_load)
        return read

    async def go_over(self, sources: Sources, settings: Settings) -> Changes:
        """Go over to `settings`; raises NotTaken.

        :returns: what has changed.
        """
        changes = compare(self._crew.settings, settings)
        if changes:
            ready = await self._prepare(sources, settings)
            self.take(sources, settings)
            await self._all(self._commit(child, sources) for child in ready)
            self._say(changes)
        else:
            self._means_the_same(sources)
        return changes

    def start_with(self, sources: Sources) -> None:
        """Let children that start from now on have `sources`."""
        self._launcher.sources = sources

    def take(self, sources: Sources, settings: Settings) -> None:
        """Go over to `settings` in this process, and for children that start from now on."""
        self._launcher.sources = sources
        self._in_force = {sources.digest}
        fixed = keep_restart_only(settings, *self._fixed)
        self._crew.apply(keep_restart_only_groups(fixed, self._crew.settings))

    def _means_the_same(self, sources: Sources) -> None:
        """Children that have a text that means the same need not be told of another one."""
        self._launcher.sources = sources
        told = {child.digest for child in self._crew.children_at_work()}
        self._in_force = {digest for digest in self._in_force if digest in told} | {sources.digest}

    def _say(self, changes: Changes) -> None:
        self.log.info("configuration changed: {what}", what=changes)

    async def _prepare(self, sources: Sources, settings: Settings) -> list[ChildProcess]:
        """Let the children make ready; returns those that are, or raises NotTaken and lets all forget it."""
        children = [child for child in self._crew.children_at_work() if child.spec.group in settings.groups]
        unserved = _unserved(settings, {child.spec.group for child in children})
        answers = await self._all(
            self._ask(child, sources, [] if number else unserved) for number, child in enumerate(children)
        )
        told = [answer for answer in answers if answer is not None]
        refusals = [answer for answer in told if answer.problems]
        ready = [answer.child for answer in told if not answer.problems]
        if refusals:
            for answer in told:
                if not (answer.answered and answer.problems):
                    answer.child.tell(Drop)
            problems = list(dict.fromkeys(problem for answer in refusals for problem in answer.problems))
            raise NotTaken(problems, next((answer.traceback for answer in refusals if answer.traceback), ""))
        return ready

    def _ask(self, child: ChildProcess, sources: Sources, check: list[str]) -> Deferred[_Answer | None]:
        changes = _changes_for(child, sources).to_json()
        asked = child.ask(Prepare, changes=changes, digest=sources.digest, check=check)
        asked.addTimeout(PREPARE_TIMEOUT, self._clock)

        def answered(answer: dict[str, Any]) -> _Answer:
            return _Answer(child, answer["problems"], answer["traceback"])

        def failed(failure: Failure) -> _Answer | None:
            if not child.alive:
                return None  # whoever comes in its place starts with the right one
            what = f"child {child.spec.id} did not make ready for it: {failure.getErrorMessage() or failure.type}"
            return _Answer(child, [what], "", answered=False)

        return asked.addCallbacks(answered, failed)

    def _commit(self, child: ChildProcess, sources: Sources) -> Deferred[None]:
        """Let `child` go over to what it has prepared; fails with CommandFailed."""

        def committed(answer: dict[str, Any]) -> None:
            child.sources, child.digest = sources, answer["digest"]

        def failed(failure: Failure) -> Failure:
            child.digest = ""  # so it is told everything
            return failure

        return child.ask(Commit, digest=sources.digest).addCallbacks(committed, failed)

    async def _all(self, asked: Iterable[Deferred[Any]]) -> list[Any]:
        results = await DeferredList(list(asked), consumeErrors=True)
        return [result if good else None for good, result in results]

    def bring_up_to_date(self, child: ChildProcess) -> None:
        """A child is up that may have started with an earlier configuration."""
        if self._lags(child):
            self.run(self._nothing).addErrback(
                lambda failure: self.log.failure("a child can't be brought up to date", failure)
            )

    async def _nothing(self) -> None:
        """A change that changes nothing: each ends with a look at all children."""

    def _lags(self, child: ChildProcess) -> bool:
        return child.alive and not child.stopping and child.digest not in self._in_force

    async def _bring_all(self) -> list[str]:
        """Bring up to date the children whose configuration is not the one in force; gives their ids.

        A child may have become ready while the others prepared, and one may not have done what it was asked to.
        """
        groups = self._crew.settings.groups
        lagging = [child for child in self._crew.children_at_work() if child.spec.group in groups and self._lags(child)]
        await self._all(Deferred.fromCoroutine(self._bring(child)) for child in lagging)
        return [child.spec.id for child in lagging]

    async def _bring(self, child: ChildProcess) -> None:
        sources = self._launcher.sources
        answer = await self._ask(child, sources, [])
        problems = [] if answer is None else answer.problems
        try:
            if answer is not None and not problems:
                await self._commit(child, sources)
        except CommandFailed as error:
            problems = [str(error)]
        if problems:
            self.log.error(
                "child {id} can't go over to the present configuration, so it is started again: {problems}",
                id=child.spec.id,
                problems="; ".join(problems),
            )
            child.stop()

    async def _look(self, files: bool, afresh: bool) -> Changes:
        old = self._launcher.sources
        look: SourceScan = await self._in_thread(self._reader.look, old, files, afresh)
        self._tell(look)
        if look.sources is old:
            return Changes()
        overrides = self._launcher.overrides
        taken: ReloadedSites = await self._in_thread(
            lambda: _digested_sites(reload_sites(self._crew.settings, old, look.sources, overrides))
        )
        for problem in self._news(taken.problems):
            self.log.error("sites not reloaded: {problem}", problem=problem)
        return await self.go_over(taken.sources, taken.settings)

    def _tell(self, look: SourceScan) -> None:
        for problem in self._news(look.problems):
            self.log.error("a file of the configuration counts as it was: {problem}", problem=problem)
        if look.main_differs and self._news([str(look.sources.path)]):
            self.log.info(
                "{path} also changed outside [site:...]; run snqctl update to apply it", path=look.sources.path
            )

    def _news(self, problems: Iterable[str]) -> list[str]:
        """Those that were not told yet since the last update."""
        news = [problem for problem in problems if problem not in self._told]
        self._told.update(news)
        return news


@attrs.frozen
class _Answer:
    child: ChildProcess
    problems: list[str]
    traceback: str
    answered: bool = True


def _unserved(settings: Settings, at_work: set[str]) -> list[str]:
    """The queues of groups that have no child that could load their handlers now."""
    return [queue for group in settings.groups.values() if group.name not in at_work for queue in group.queues]


def _changes_for(child: ChildProcess, sources: Sources) -> SourceChanges:
    """What `child` must be told; a child keeps no text but the main file's, so with another one it needs all."""
    if child.sources.main != sources.main or child.digest != child.sources.digest:
        return SourceChanges(sources.files)
    return sources.changes_since(child.sources)


def _digested(sources: Sources) -> Sources:
    """`sources`, whose digest is made here, in a thread."""
    assert sources.digest
    return sources


def _digested_sites(taken: ReloadedSites) -> ReloadedSites:
    _digested(taken.sources)
    return taken
