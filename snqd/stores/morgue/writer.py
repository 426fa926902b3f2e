"""MorgueWriter: the daemon's way into the morgue, off the reactor's thread."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from snqd.stores.morgue.files import write_letter
from snqd.stores.morgue.morgue import Letter, Morgue
from snqd.stores.writer_thread import WriterThread


class MorgueWriter:
    """Buries letters in one thread with group commit; the morgue is opened by the first letter.

    :param folder: ``dead_letter_dir``, where each letter's payload goes as a file too; None for no files.
    :param pool: for tests.
    """

    log = Logger()

    def __init__(
        self, reactor: Any, morgue: Morgue, folder: Path | None = None, pool: ThreadPool | None = None
    ) -> None:
        self._morgue = morgue
        self._folder = folder
        self._thread: WriterThread[Letter] = WriterThread(reactor, self._bury, "morgue", pool=pool)

    def bury(self, letter: Letter) -> Deferred[None]:
        """Keep `letter`; fires when it is durable, or fails with a :class:`~snqd.core.errors.StoreError`."""
        return self._thread.submit(letter)

    def close(self) -> Deferred[None]:
        """Finish what is under way and close the morgue; fires then."""
        return self._thread.close().addCallback(lambda _: self._morgue.close())

    def _bury(self, letters: Sequence[Letter]) -> None:
        self._morgue.bury(letters)
        if self._folder is not None:
            for letter in letters:
                self._copy(letter, self._folder)

    def _copy(self, letter: Letter, folder: Path) -> None:
        # The letter lies safe in the morgue; its job need not wait for a second copy.
        try:
            write_letter(folder, letter)
        except OSError as error:
            self.log.error(
                "dead letter {job} of site {site}, queue {queue} is in the morgue, "
                "but its file can't be written to [queue] dead_letter_dir {folder}: {error}",
                job=letter.id,
                site=letter.site,
                queue=letter.queue,
                folder=str(folder),
                error=error,
            )
