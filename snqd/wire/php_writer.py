"""Writes plain values as PHP's serialize() does; what :mod:`snqd.wire.php` reads, the other way round."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from snqd.core.errors import BadPayload
from snqd.wire import php_values
from snqd.wire.php import MAX_DEPTH, MAX_ELEMENTS

_NOT_FINITE = {math.inf: b"d:INF;", -math.inf: b"d:-INF;"}


def dumps(value: Any) -> bytes:
    """What PHP's unserialize() reads as `value`: lists and dicts become arrays, text becomes its UTF-8.

    PHP has one kind of array, so a few values come back as others: an empty dict as an empty list, a dict whose keys
    count up from 0 as a list, and keys that are an integer's usual form as integers.

    :param value: what JSON gives.
    :raises BadPayload: naming the part that PHP can't carry: integers beyond 64 bits, text without UTF-8 (half a
        surrogate pair), more than :data:`~snqd.wire.php.MAX_DEPTH` levels or :data:`~snqd.wire.php.MAX_ELEMENTS`
        elements.
    """
    return b"".join(_Writer().write(value, "payload", 0))


class _Writer:
    def __init__(self) -> None:
        self._elements = 0

    def write(self, value: Any, where: str, level: int) -> Iterable[bytes]:
        """The pieces of `value`, which stands at `where`."""
        if isinstance(value, list):
            return self._array(enumerate(value), len(value), where, level)
        if isinstance(value, dict):
            return self._array(value.items(), len(value), where, level)
        return (_scalar(value, where),)

    def _array(self, items: Iterable[tuple[Any, Any]], size: int, where: str, level: int) -> Iterable[bytes]:
        self._elements += size
        if level == MAX_DEPTH:
            raise BadPayload(f"{where[:60]}...: nests deeper than the {MAX_DEPTH} levels that are read from PHP")
        if self._elements > MAX_ELEMENTS:
            raise BadPayload(f"the payload has more than the {MAX_ELEMENTS} elements that are read from PHP")
        yield b"a:%d:{" % size
        for key, part in items:
            there = f"{where}[{repr(key)[:40]}]"
            yield _key(key, there)
            yield from self.write(part, there, level + 1)
        yield b"}"


def _scalar(value: Any, where: str) -> bytes:
    if isinstance(value, str):
        return _text(value, where)
    if value is None:
        return b"N;"
    if isinstance(value, bool):
        return b"b:%d;" % value
    if isinstance(value, int):
        return _integer(value, where)
    if isinstance(value, float):
        return _NOT_FINITE.get(value) or b"d:%b;" % repr(value).encode()
    raise BadPayload(f"{where}: PHP can't carry a {type(value).__name__}")


def _key(key: Any, where: str) -> bytes:
    if not isinstance(key, (str, int)):
        raise BadPayload(f"{where}: PHP can't carry the key")
    usual = php_values.array_key(key.encode("utf-8", "surrogatepass")) if isinstance(key, str) else key
    return _scalar(usual if isinstance(usual, int) else key, where)


def _integer(value: int, where: str) -> bytes:
    if not php_values.MIN_INT <= value <= php_values.MAX_INT:
        raise BadPayload(f"{where}: the integer does not fit into PHP's 64 bits; write it as text")
    return b"i:%d;" % value


def _text(value: str, where: str) -> bytes:
    try:
        raw = value.encode()
    except UnicodeEncodeError:
        raise BadPayload(f"{where}: half a surrogate pair has no UTF-8, which PHP needs") from None
    return b's:%d:"%b";' % (len(raw), raw)
