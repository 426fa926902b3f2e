"""Two handlers to try snqd out with; etc/snq.ini names them and README shows them."""

from __future__ import annotations

from twisted.internet.task import deferLater
from twisted.logger import Logger

from snqd.handlers import QueueHandler, Reject
from snqd.handlers.running_job import RunningJob


class Greet(QueueHandler):
    """Greets ``payload["name"]`` in the log, in the site's own words: a plain function, done at once."""

    log = Logger()

    def handle(self, job: RunningJob) -> None:
        """Log one line."""
        name = job.payload.get("name") if isinstance(job.payload, dict) else None
        if not name:
            raise Reject('nobody to greet: the payload must look like {"name": "Ada"}')
        greeting = job.site.config("greet", "greeting", default="Hello")
        self.log.info("{greeting} {name} from {site}", greeting=greeting, name=name, site=job.site.nickname)


class Resize(QueueHandler):
    """Acts as if it resized an image: waits ``payload["seconds"]``, 0.05 by default, while other jobs run.

    Then it has `greet` report the image.
    """

    async def handle(self, job: RunningJob) -> None:
        """Wait, then enqueue the follow-up: it exists once this job is acknowledged."""
        image = job.payload or {}
        seconds = image.get("seconds", 0.05) if isinstance(image, dict) else None
        if not (isinstance(seconds, int | float) and seconds >= 0):
            raise Reject('nothing to resize: the payload must look like {"image": 5, "seconds": 0.05}')
        await deferLater(self.reactor, seconds)
        job.enqueue("greet", {"name": f"image {image.get('image', '?')}"})
