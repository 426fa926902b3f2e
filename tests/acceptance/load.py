"""Load: jobs that come all the time while a test does something to the daemon."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from snqd import connect

TICK = 0.05


class Load:
    """Enqueues jobs of queue `note` from a thread of the test, as a context manager.

    :param rate: jobs a second.
    :param payload: of each.
    :ivar ids: what was accepted.
    """

    def __init__(self, config: Path, sites: tuple[str, ...], rate: int, payload: Any) -> None:
        self._queue = connect(config)
        self._sites = sites
        self._batch = max(round(rate * TICK), 1)
        self._payload = payload
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._error: Exception | None = None
        self.ids: list[str] = []

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def _run(self) -> None:
        due = time.monotonic()
        try:
            while not self._end.wait(max(due - time.monotonic(), 0)):
                due += TICK
                sites = [self._sites[number % len(self._sites)] for number in range(self._batch)]
                self.ids += self._queue.enqueue_many([(site, "note", self._payload) for site in sites])
        except Exception as error:
            self._error = error
        finally:
            self._queue.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
        if self._error is not None:
            raise self._error
