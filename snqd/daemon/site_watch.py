"""SiteWatch: notices that sites were added, changed or removed, without being asked, and has them reloaded."""

from __future__ import annotations

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from snqd.core.errors import SnqdError
from snqd.daemon.folder_watch import FolderWatch
from snqd.daemon.reload import Reload
from snqd.pipe.periodic import PeriodicCall

TICK = 0.25
"""Seconds between looks at a table: a change in it is to be live within one."""
SETTLE = 0.1
"""Seconds from a change to the look at it, since more often follow at once."""
APART = 0.5
"""Seconds between two looks at least."""
LOOK_EVERY = 60.0
"""Seconds between looks at files of which the kernel tells: it does not tell what another machine does to them."""
FILES_APART = 1.0
"""Seconds between looks at files of which the kernel does not tell, at least."""
SHARE = 25
"""Without the kernel's word, looks take one in so many seconds at most."""


class SiteWatch(Service):
    """Looks when the kernel tells of a change, when a child misses a site, four times a second at a table, and now and
    then in any case.

    :param folders: tells of changes to files by calling :meth:`changed`.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, reload: Reload, folders: FolderWatch) -> None:
        self._clock = clock
        self._reload = reload
        self._folders = folders
        self._ticks = PeriodicCall(clock, self._tick)
        self._soon: IDelayedCall | None = None
        self._began = 0.0
        self._looked = 0.0
        self._took = 0.0
        self._looking = False
        self._dirty = self._missing = False
        self._problem = ""

    def startService(self) -> None:
        """Begin to watch."""
        super().startService()  # type: ignore[no-untyped-call]
        self._looked = self._clock.seconds()
        self._watch()
        self._ticks.start(TICK, now=False)

    def stopService(self) -> None:
        """Look no more."""
        super().stopService()  # type: ignore[no-untyped-call]
        self._ticks.stop()
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None

    def changed(self) -> None:
        """A file has changed."""
        self._dirty = True
        self._schedule()

    def missed(self) -> None:
        """A child has jobs of a site that it does not know: look at everything, the whole table too."""
        self._missing = True
        self._schedule()

    def _schedule(self) -> None:
        if self.running and self._soon is None and not self._looking:
            wait = max(SETTLE, self._looked + APART - self._clock.seconds())
            self._soon = self._clock.callLater(wait, self._due)

    def _due(self) -> None:
        self._soon = None
        self._look(files=True)

    def _tick(self) -> None:
        if self._looking or self._soon is not None or self._reload.busy:
            return
        since = self._clock.seconds() - self._looked
        if since >= (LOOK_EVERY if self._folders.works else max(FILES_APART, self._took * SHARE)):
            self._look(files=True)
        elif self._reload.reader.has_table(self._reload.sources):
            self._look(files=False)

    def _look(self, files: bool) -> None:
        afresh, self._looking = self._missing, True
        self._began = self._clock.seconds()
        if files:
            self._dirty = self._missing = False
            self._looked = self._began
        looked = self._reload.look(files, afresh)
        looked.addCallbacks(self._fine, self._failed)
        looked.addErrback(lambda failure: self.log.failure("a look at the sites broke", failure))
        looked.addBoth(self._done, files)

    def _fine(self, changes: object) -> None:
        self._problem = ""

    def _failed(self, failure: Failure) -> None:
        if failure.check(SnqdError) is None:
            self.log.failure("a look at the sites broke", failure)
        elif failure.getErrorMessage() != self._problem:
            self._problem = failure.getErrorMessage()
            self.log.error("the sites stay as they were, since they can't be read: {problem}", problem=self._problem)

    def _done(self, _: object, files: bool) -> None:
        self._looking = False
        if files:
            self._took = self._clock.seconds() - self._began
        if self.running:
            self._watch()
            if self._dirty or self._missing:
                self._schedule()

    def _watch(self) -> None:
        self._folders.watch(self._reload.reader.folders(self._reload.sources))
