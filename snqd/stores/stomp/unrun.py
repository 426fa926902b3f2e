"""The dead letters of messages that no handler will see: those that are no jobs, and those that the broker gave up;
pure.

A quorum queue of RabbitMQ drops a message that it has delivered too often. By policy it goes to
:meth:`~snqd.stores.stomp.topology.Topology.dropped` then, with headers that say why.
"""

from __future__ import annotations

from snqd.core.clocks import unix_time
from snqd.core.errors import BadPayload
from snqd.core.job import PHP, digest_id
from snqd.stomp.frame import Frame
from snqd.stores.morgue.morgue import Letter
from snqd.stores.stomp import message as messages

_WHY = {
    "delivery_limit": "the broker gave it up after more deliveries than its queue's delivery-limit allows",
    "expired": "the broker gave it up because it had expired",
    "maxlen": "the broker gave it up because its queue was full",
    "rejected": "the broker gave it up because it was rejected",
}
_ADVICE = {"delivery_limit": "; lift that limit by a policy"}


def unreadable(message: Frame, queue: str, destination: str, reason: str) -> Letter:
    """The letter of a message that is no job, with its bytes as they came.

    :param queue: under which it is listed.
    :param reason: why it can't be read.
    """
    created = message.headers.get("created", "").strip()
    return Letter(
        id=digest_id(message.body, created),
        site="",
        queue=queue,
        body=message.body,
        encoding=PHP,
        created=unix_time(),
        died=unix_time(),
        reason=f"{reason} (from {destination})",
    )


def given_up(message: Frame, destination: str) -> Letter:
    """The letter of a message that the broker dropped; its bytes are kept where they are no job."""
    why = gave_up(message)
    try:
        job = messages.read(message, unix_time())
    except BadPayload as error:
        return unreadable(message, "", destination, f"{why}; {error}")
    return Letter(
        id=job.id,
        site=job.site,
        queue=job.queue,
        body=job.body,
        encoding=job.encoding,
        attempts=job.attempt - 1,
        created=job.created,
        died=unix_time(),
        reason=why,
    )


def gave_up(message: Frame) -> str:
    """Why the broker dropped a message, and from which queue, as far as its headers say."""
    headers = message.headers
    cause = headers.get("x-first-death-reason", "")
    queue = headers.get("x-first-death-queue", "")
    return f"{_WHY.get(cause, 'the broker gave it up')}{f' (queue {queue})' if queue else ''}{_ADVICE.get(cause, '')}"
