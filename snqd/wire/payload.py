"""Payloads: between a job's body and the values that handlers see, in JSON and as PHP writes them."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterator
from typing import Any

from snqd.core.errors import BadPayload
from snqd.core.job import JSON, PHP
from snqd.wire import php, php_values

_NUMBER = re.compile(rb"-?[0-9]{1,19}")
_MAX_LEVELS = 1000


def encode(value: Any) -> bytes:
    """A job's body in JSON: compact, UTF-8. Keys that are numbers, bool or None become text, tuples become lists.

    :raises BadPayload: naming the part that JSON can't carry.
    """
    try:
        return _utf8(_STRICT, value)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadPayload(_fault(value, error)) from error


def to_json_text(value: Any) -> str:
    """JSON for other programs, of PHP's payloads too: bytes become ``{"base64": "..."}``, or ``base64:...`` as a key,
    and keys that are numbers become text.

    :raises BadPayload: naming the part that JSON can't carry, such as PHP's INF and NAN.
    """
    try:
        return _with_bytes(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadPayload(_fault(value, error, bytes)) from error


def decode(body: bytes, encoding: str) -> Any:
    """The value in a job's body.

    PHP's are what :func:`snqd.wire.php.loads` gives, or StatusNet 0.9's bare forms: a decimal number is the int, and
    text that begins with ``<`` is an XMPP stanza, as it is.

    :param encoding: :data:`snqd.core.job.JSON` or :data:`snqd.core.job.PHP`.
    :raises BadPayload: saying what is wrong and, where it is in one place, at which byte.
    """
    if encoding == JSON:
        return _decode_json(body)
    if encoding == PHP:
        return _decode_php(body)
    raise BadPayload(f"the encoding {encoding!r} is unknown: {JSON} and {PHP} can be decoded")


def _decode_php(body: bytes) -> Any:
    if body.startswith(b"<"):
        return php_values.text(body)
    if _NUMBER.fullmatch(body) and php_values.MIN_INT <= int(body) <= php_values.MAX_INT:
        return int(body)
    return php.loads(body)


def _decode_json(body: bytes) -> Any:
    if not body:
        raise BadPayload("the payload is empty")
    try:
        text = body.decode()
        return _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise BadPayload(f"byte {error.start}: not JSON: not UTF-8") from error
    except json.JSONDecodeError as error:
        raise BadPayload(f"byte {len(text[: error.pos].encode())}: not JSON: {error.msg}") from error
    except ValueError as error:
        raise BadPayload(f"not JSON that can be read: {error}") from error
    except RecursionError as error:
        raise BadPayload("the JSON nests too deep") from error


def _no_constant(name: str) -> Any:
    raise BadPayload(f"not JSON: JSON has no {name}")


def _bytes_as_json(value: Any) -> dict[str, str]:
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _with_bytes(value: Any) -> str:
    try:
        return _utf8(_LENIENT, value).decode()
    except TypeError:
        # The encoder asks what to do with values only, never with keys, and few payloads have bytes there.
        return _utf8(_LENIENT, _text_keys(value)).decode()


def _text_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {_text_key(key): _text_keys(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_text_keys(part) for part in value]
    return value


def _text_key(key: Any) -> Any:
    return "base64:" + base64.b64encode(key).decode() if isinstance(key, bytes) else key


def _utf8(encoder: json.JSONEncoder, value: Any) -> bytes:
    try:
        return encoder.encode(value).encode()
    except UnicodeEncodeError:
        # Half a surrogate pair has no UTF-8, but JSON can escape it.
        escaping = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=encoder.default)
        return escaping.encode(value).encode()


def _fault(value: Any, error: Exception, *allowed: type) -> str:
    """What in `value` JSON can't carry, and where it is; what `error` says if nothing is found."""
    parts = [("payload", value, 0)]
    while parts:
        where, part, level = parts.pop()
        if level > _MAX_LEVELS:
            return f"{where[:60]}...: the payload nests too deep, or contains itself"
        if isinstance(part, float) and not math.isfinite(part):
            return f"{where}: JSON has no {part}"
        if not isinstance(part, (str, int, float, bool, type(None), dict, list, tuple, *allowed)):
            return f"{where}: JSON can't carry a {type(part).__name__}"
        if isinstance(part, dict):
            for key in part:
                if not _is_key(key, allowed):
                    return f"{where}: JSON can't carry the key {_shown(key)}"
        parts.extend((f"{where}[{_shown(key)}]", child, level + 1) for key, child in _children(part))
    return f"the payload can't be written as JSON: {error}"


def _is_key(key: Any, allowed: tuple[type, ...]) -> bool:
    if isinstance(key, float):
        return math.isfinite(key)
    return isinstance(key, (str, int, bool, type(None), *allowed))


def _children(part: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(part, dict):
        yield from part.items()
    elif isinstance(part, (list, tuple)):
        yield from enumerate(part)


def _shown(key: Any) -> str:
    shown = repr(key)
    return shown if len(shown) <= 40 else shown[:37] + "..."


_DECODER = json.JSONDecoder(parse_constant=_no_constant)
_STRICT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_LENIENT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_bytes_as_json)
