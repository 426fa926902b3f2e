"""A plug-in for snqd: a handler that writes welcome letters, and an I/O manager that makes jobs of files."""

import json
import os
from pathlib import Path

from twisted.logger import Logger

from snqd.handlers import QueueHandler, Reject, RetryLater
from snqd.io import IoContext, IoManager, Scope, SnqdError, StoreError


class Welcome(QueueHandler):
    """Writes a letter to ``payload["name"]`` into the folder ``[app:welcome] dir``, which a site may set for itself."""

    def __init__(self, settings):
        super().__init__(settings)
        self.greeting = self.options.get("greeting", "Welcome")

    def handle(self, job):
        if not isinstance(job.payload, dict) or "name" not in job.payload:
            raise Reject('nobody to welcome: the payload must look like {"name": "Ada"}')
        folder = job.site.config("welcome", "dir")
        if folder is None or not os.path.isdir(folder):
            raise RetryLater(60, f"[app:welcome] dir is {folder}, which is no folder")
        # A job may run twice. Its id is the same then, so the second letter replaces the first.
        letter = Path(folder, f"{job.id}.txt")
        letter.write_text(f"{self.greeting} to {job.site.server}, {job.payload['name']}!\n")


class Inbox(IoManager):
    """Makes a job of queue ``welcome`` of each file ``DIR/SITE/NAME.json``; DIR is ``[app:inbox] dir``."""

    log = Logger()
    scope = Scope.SINGLE_ONLY  # two of them would take the same file
    poll_interval = 5.0

    def __init__(self, context: IoContext) -> None:
        super().__init__()
        self.context = context
        self.taken = self.refused = 0
        self.quieted = False

    async def poll(self) -> bool:
        """Take what is there; whether there was anything."""
        folder = self.context.config("app:inbox", "dir")  # asked for each time: it changes with a reload
        if folder is None:
            return False
        files = await self.context.in_thread(json_files, Path(folder), list(self.context.sites.nicknames()))
        for path in files:
            if self.quieted:
                break
            await self._take(path)
        self.context.report({"taken": self.taken, "refused": self.refused})
        return bool(files)

    def quiet(self) -> None:
        """Take no further file."""
        self.quieted = True

    async def _take(self, path: Path) -> None:
        try:
            payload, job_id = await self.context.in_thread(read, path)
            await self.context.enqueue(path.parent.name, "welcome", payload, id=job_id)
        except StoreError as error:
            # The file stays, and the next poll repeats it under the same id.
            self.log.warn("{path} is taken later: {error}", path=str(path), error=error)
        except (SnqdError, ValueError) as error:
            self.refused += 1
            self.log.error("{path} is refused: {error}", path=str(path), error=error)
            await self.context.in_thread(os.rename, path, path.with_suffix(".refused"))
        else:
            # Only now, since the job is durable.
            self.taken += 1
            await self.context.in_thread(os.unlink, path)


def json_files(folder: Path, sites: list[str]) -> list[Path]:
    """The files of all sites, the oldest first."""
    files = [path for site in sites for path in (folder / site).glob("*.json")]
    return sorted(files, key=lambda path: path.stat().st_mtime)


def read(path: Path) -> tuple[object, str]:
    """The payload in a file, and the id of its job: the same as long as the file is the same."""
    state = path.stat()
    return json.loads(path.read_text()), f"inbox-{state.st_ino}-{state.st_mtime_ns}"
