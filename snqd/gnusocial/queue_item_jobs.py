"""Which jobs the rows of ``queue_item`` become."""

from __future__ import annotations

import base64
import binascii
import re

from snqd.core.clocks import unix_time
from snqd.core.job import PHP, Job, check_size, digest_id
from snqd.gnusocial.queue_item_tables import QueueItem
from snqd.stores.morgue.morgue import Letter

_BASE64 = re.compile(rb"[A-Za-z0-9+/\s]{4,}={0,2}\s*")
_NUMBER = re.compile(rb"\s*[0-9]+\s*")


def job_of(item: QueueItem) -> Job:
    """The job that a row is. A row that is taken twice is the same job twice.

    :raises SnqdError: if a job can't carry it.
    """
    body = _plain(check_size(item.frame))
    return Job(_id(item), item.table.site, item.transport, body, PHP, item.created_at)


def letter_of(item: QueueItem, reason: str) -> Letter:
    """The dead letter of a row that is no job."""
    return Letter(
        _id(item),
        item.table.site,
        item.transport,
        item.frame,
        PHP,
        attempts=0,
        created=item.created_at,
        died=unix_time(),
        reason=reason,
    )


def _id(item: QueueItem) -> str:
    # A server may number anew after its restart, hence more than the number.
    return digest_id(item.frame, f"queue_item {item.table.site} {item.id} {item.created}")


def _plain(frame: bytes) -> bytes:
    """The frame without the base64 around it that some versions write; what PHP serializes is never made of its
    letters alone, but for a notice's bare number."""
    if _NUMBER.fullmatch(frame) or not _BASE64.fullmatch(frame):
        return frame
    try:
        return base64.b64decode(frame)
    except binascii.Error:
        return frame
