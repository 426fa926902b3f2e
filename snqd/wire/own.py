"""How own jobs are written, ``[queue] wire``: so that other programs that read the same queues can take them."""

from __future__ import annotations

from snqd.config.values import PHP_BASE64
from snqd.core.errors import BadPayload
from snqd.core.job import JSON, PHP, check_size
from snqd.wire.payload import decode
from snqd.wire.php_writer import dumps

_NUL = (
    "the payload holds a NUL, at which PHP's daemons cut a message: leave it out, or set [queue] wire = "
    f"{PHP_BASE64} if they are GNU social's, which read base64"
)


def php_body(body: bytes, encoding: str, wire: str) -> bytes:
    """A job's body as PHP's daemons can take it; one that PHP wrote stays byte for byte.

    :param wire: :data:`~snqd.core.job.PHP` or :data:`~snqd.config.values.PHP_BASE64`.
    :raises BadPayload: saying what in it they could not read.
    :raises PayloadTooLarge: if it is too large so.
    """
    written = dumps(decode(body, JSON)) if encoding == JSON else body
    if wire == PHP and b"\0" in written:
        raise BadPayload(_NUL)
    return check_size(written)


def check_body(body: bytes, encoding: str, wire: str) -> None:
    """Refuse what can't be written so; raises as :func:`php_body` does."""
    if wire != JSON:
        php_body(body, encoding, wire)
