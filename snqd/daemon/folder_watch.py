"""FolderWatch: says when a file in some folders changed, by the kernel's word for it (inotify)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.logger import Logger
from twisted.python.filepath import FilePath

CHANGES = ("IN_CLOSE_WRITE", "IN_MOVED_TO", "IN_MOVED_FROM", "IN_DELETE", "IN_CREATE", "IN_ATTRIB")
SUFFIX = b".ini"


class FolderWatch(Service):
    """Watches files whose names end in ``.ini``.

    :param reactor: IReactorFDSet.
    :param changed: called at every change, several times for one.
    :ivar works: whether the kernel tells; it does not for a folder of another machine, and here nobody knows.
    """

    log = Logger()

    def __init__(self, reactor: Any, changed: Callable[[], Any]) -> None:
        self._reactor = reactor
        self._changed = changed
        self._folders: frozenset[Path] = frozenset()
        self._inotify: Any = None
        self.works = False

    def watch(self, folders: Collection[Path]) -> None:
        """Watch these and no others; called when the service runs."""
        if frozenset(folders) == self._folders and self.works:
            return
        self._close()
        try:
            self._open(folders)
        except Exception as error:  # noqa: BLE001  the class of what Twisted raises for a refused watch is private
            self.log.info("the kernel does not watch folders ({error}): they are looked at once a second", error=error)
            self._close()

    def _open(self, folders: Collection[Path]) -> None:
        from twisted.internet import inotify

        self._inotify = inotify.INotify(self._reactor)
        self._inotify.startReading()
        mask = 0
        for name in CHANGES:
            mask |= getattr(inotify, name)
        for folder in folders:
            self._inotify.watch(FilePath(str(folder)), mask, callbacks=[self._notified])
        self._folders, self.works = frozenset(folders), True

    def _notified(self, ignored: Any, path: Any, mask: int) -> None:
        if path.basename().endswith(SUFFIX):
            self._changed()

    def stopService(self) -> None:
        """Watch no more."""
        super().stopService()  # type: ignore[no-untyped-call]
        self._close()

    def _close(self) -> None:
        self._folders, self.works = frozenset(), False
        if self._inotify is not None:
            self._inotify.loseConnection()
            self._inotify = None
