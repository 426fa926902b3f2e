"""Messages: a job as the headers and body of a frame, and back; pure.

The body is an envelope with the payload in it, byte for byte: JSON for a JSON payload, PHP's for one of PHP; PHP's for
all where PHP's daemons read along. What changes from attempt to attempt stands in headers.
"""

from __future__ import annotations

import calendar
import json
import re
import time
from base64 import b64encode
from collections.abc import Mapping

from snqd.config.values import PHP_BASE64
from snqd.core.errors import BadName, BadPayload
from snqd.core.job import JSON, PHP, Job, digest_id
from snqd.core.names import check_id, check_queue, check_site
from snqd.stomp.frame import Frame
from snqd.wire.envelope import open_envelope
from snqd.wire.own import php_body
from snqd.wire.payload import encode

ID = "snq-id"
CREATED = "snq-created"
ATTEMPT = "snq-attempt"
NOT_BEFORE = "snq-not-before"
SOLO = "snq-solo"
REASON = "snq-reason"
ACCUSED = "snq-accused"
"""Names the process whose death was counted against the job last, so that it is not counted twice."""
_OWN_HEADERS = (ID, CREATED, ATTEMPT, NOT_BEFORE, SOLO, REASON, ACCUSED)
MAX_REASON_CHARS = 1000
_NAME = rb"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,63}"
_OWN = re.compile(rb'\{"site":"(%b)","queue":"(%b)","payload":' % (_NAME, _NAME))
_NUMBER = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,17})?(?:e\+?[0-9]{1,2})?")


def write(job: Job, accused: str = "", wire: str = JSON) -> tuple[dict[str, str], bytes]:
    """The headers of a SEND, without its destination, and the body.

    :param accused: see :data:`ACCUSED`.
    :param wire: who must be able to read it: see :data:`snqd.config.values.WIRES`.
    :raises BadPayload, PayloadTooLarge: if the payload can't be written so.
    """
    headers = {"persistent": "true", ID: job.id, CREATED: repr(job.created)}
    if wire != JSON or job.encoding != JSON:  # for PHP's daemons; a broker pays for each header at every delivery
        headers["created"] = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(min(max(job.created, 0.0), 2e11)))
    if job.attempt != 1:
        headers[ATTEMPT] = str(job.attempt)
    if job.not_before:
        headers[NOT_BEFORE] = repr(job.not_before)
    if job.solo:
        headers[SOLO] = "1"
    if accused:
        headers[ACCUSED] = accused
    if job.reason:
        # No NUL, which a header can't carry, and nothing that has no UTF-8.
        reason = job.reason[:MAX_REASON_CHARS].replace("\0", "\ufffd")
        headers[REASON] = reason.encode("utf-8", "backslashreplace").decode()
    return headers, _body(job, wire)


def forwarded(frame: Frame) -> dict[str, str] | None:
    """The headers of a SEND to a destination of snqd's own, for the body of a MESSAGE of its own as it is; None for
    another program's, which is to be read and written again.
    """
    said = frame.headers
    if ID not in said or CREATED not in said:
        return None
    return {"persistent": "true", **{name: said[name] for name in _OWN_HEADERS if name in said}}


def read(frame: Frame, now: float) -> Job:
    """The job in a MESSAGE, of snqd's own or of a PHP site.

    :param now: Unix seconds; the job's `created` if the message has none.
    :raises BadPayload: if it is none, saying why.
    """
    headers = frame.headers
    created_text = headers.get("created", "").strip()
    try:
        site, queue, body, encoding = _open(frame.body)
        job_id = check_id(headers[ID]) if ID in headers else digest_id(frame.body, created_text)
    except BadName as error:
        raise BadPayload(f"the message's envelope: {error}") from error
    return Job(
        id=job_id,
        site=site,
        queue=queue,
        body=body,
        encoding=encoding,
        created=_number(headers, CREATED) or _sql_time(created_text) or now,
        attempt=max(int(_number(headers, ATTEMPT)), 1),
        not_before=_number(headers, NOT_BEFORE),
        solo=SOLO in headers,
        reason=headers.get(REASON, ""),
    )


def _body(job: Job, wire: str) -> bytes:
    site, queue = job.site.encode(), job.queue.encode()
    if wire == JSON and job.encoding == JSON:
        return b'{"site":"%b","queue":"%b","payload":%b}' % (site, queue, job.body)
    payload = job.body if wire == JSON else php_body(job.body, job.encoding, wire)
    envelope = b'a:3:{s:4:"site";s:%d:"%b";s:7:"handler";s:%d:"%b";s:7:"payload";s:%d:"%b";}' % (
        len(site), site, len(queue), queue, len(payload), payload
    )  # fmt: skip
    return b64encode(envelope) if wire == PHP_BASE64 else envelope


def _open(body: bytes) -> tuple[str, str, bytes, str]:
    """Site, queue, payload and how that is encoded; the names are checked."""
    own = _OWN.match(body)
    if own is not None and body.endswith(b"}"):
        return own[1].decode(), own[2].decode(), body[own.end() : -1], JSON
    envelope = open_envelope(body)
    if envelope is None:
        return _open_json(body)
    if envelope.site is None:
        raise BadPayload("the message's envelope names no site")
    return check_site(envelope.site), check_queue(envelope.queue), envelope.payload, PHP


def _open_json(body: bytes) -> tuple[str, str, bytes, str]:
    """JSON that another program wrote in its own way; StatusNet says `handler` for the queue."""
    try:
        value = json.loads(body)
        site, queue, payload = value["site"], value.get("queue", value.get("handler")), value["payload"]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise BadPayload(f"the message is no envelope of site, queue and payload: {body[:60]!r}") from None
    if not isinstance(site, str) or not isinstance(queue, str):
        raise BadPayload("site and queue of the message's envelope must be text")
    return check_site(site), check_queue(queue), encode(payload), JSON


def _number(headers: Mapping[str, str], name: str) -> float:
    """A header of snqd's own, 0 where it is absent or none."""
    text = headers.get(name)
    return float(text) if text is not None and _NUMBER.fullmatch(text) else 0.0


def _sql_time(text: str) -> float:
    """Unix seconds of an SQL datetime in UTC, 0 where it is none."""
    try:
        return float(calendar.timegm(time.strptime(text, "%Y-%m-%d %H:%M:%S")))
    except ValueError:
        return 0.0
