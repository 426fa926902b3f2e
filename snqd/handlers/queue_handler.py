"""QueueHandler: the code for one queue, and how it says what becomes of a job."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from snqd.core.errors import SnqdError

if TYPE_CHECKING:
    from snqd.config.settings import HandlerSettings
    from snqd.handlers.running_job import RunningJob


class RetryLater(SnqdError):
    """Raised by a handler: run the job again.

    :param delay: seconds until then, 0 for a time that has passed; None leaves it to the queue's retry policy.
    :param reason: why, for the log and the morgue.
    :raises ValueError: if `delay` is endless or no number.
    """

    def __init__(self, delay: float | None = None, reason: str = "the handler asked for a retry") -> None:
        super().__init__(reason)
        if delay is not None and not math.isfinite(delay):
            raise ValueError(f"RetryLater({delay}): the delay must be a finite number of seconds, or None")
        self.delay = None if delay is None else max(0.0, delay)
        self.reason = reason


class Reject(SnqdError):
    """Raised by a handler: the job can never succeed; it goes to the morgue at once."""

    def __init__(self, reason: str = "the handler rejected the job") -> None:
        super().__init__(reason)
        self.reason = reason


class QueueHandler:
    """Base class of handlers: one instance a process for each queue, and one more for each site with its own options.

    :cvar own_options: names of options that resemble keys of snqd, which would be taken for slips of the pen.
    :ivar settings: what ``[handler:QUEUE]`` and the site say; `settings.options` are the handler's own keys.
    :ivar reactor: set before :meth:`start`; time and connections go through it, so that tests can pass a Clock.
    """

    own_options: ClassVar[Collection[str]] = ()
    reactor: Any

    def __init__(self, settings: HandlerSettings) -> None:
        self.settings = settings

    @property
    def options(self) -> Mapping[str, str]:
        """The handler's own keys of ``[handler:QUEUE]``, as text."""
        return self.settings.options

    def start(self) -> None:
        """Called once, before the first job: check what must be there, open what jobs share.

        An error here stops the daemon's start.
        """

    def close(self) -> Any:
        """Called once, after the last job: close what :meth:`start` opened. May return a Deferred."""

    def handle(self, job: RunningJob) -> Any:
        """Do the job: a plain function, one that returns a Deferred, or a coroutine.

        Returning anything acknowledges. :exc:`RetryLater` runs the job again, :exc:`Reject` makes it a dead letter,
        any other exception follows the queue's retry policy.
        """
        raise NotImplementedError(f"{type(self).__name__} has no handle() for queue {self.settings.queue}")
