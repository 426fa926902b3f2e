"""The ways in which a handler's work on a job ends: exactly one of them, settled in one place."""

from __future__ import annotations

from typing import Union

import attrs


@attrs.frozen
class Ack:
    """The job is done; counted as `handled`."""


@attrs.frozen
class Retry:
    """The job runs again later; counted as `retried`.

    :ivar reason: why, for the log and for the morgue should it be the last attempt.
    :ivar delay: seconds until then; None leaves it to the RetryPolicy.
    :ivar traceback: text of the handler's traceback, empty where none helps.
    """

    reason: str
    delay: float | None = None
    traceback: str = ""


@attrs.frozen
class DeadLetter:
    """The job goes to the morgue; counted as `dead`."""

    reason: str
    traceback: str = ""


Outcome = Union[Ack, Retry, DeadLetter]
ACK = Ack()
