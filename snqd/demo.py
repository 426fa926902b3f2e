"""Two handlers to try snqd out with; etc/snq.ini names them and README shows them."""

from __future__ import annotations

from twisted.internet.task import deferLater
from twisted.logger import Logger

from snqd.handlers import QueueHandler, Reject
from snqd.handlers.running_job import RunningJob


class Greet(QueueHandler):
    """Greets ``payload["name"]`` in the log: a plain function, done at once."""

    log = Logger()

    def handle(self, job: RunningJob) -> None:
        """Log one line."""
        name = job.payload.get("name") if isinstance(job.payload, dict) else None
        if not name:
            raise Reject('nobody to greet: the payload must look like {"name": "Ada"}')
        self.log.info("Hello {name} from {site}", name=name, site=job.site.nickname)


class Resize(QueueHandler):
    """Acts as if it resized an image: waits ``payload["seconds"]``, 0.05 by default, while other jobs run.

    Then it has `greet` report the image.
    """

    async def handle(self, job: RunningJob) -> None:
        """Wait, then enqueue the follow-up: it is there once this job is acknowledged."""
        await deferLater(self.reactor, job.payload.get("seconds", 0.05))
        job.enqueue("greet", {"name": f"image {job.payload.get('image', 'without a name')}"})
