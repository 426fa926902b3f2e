"""Reads what PHP's serialize() writes into plain values; :mod:`snqd.wire.payload` calls it when a payload is asked for.

A reader of our own, because the library phpserialize can't keep what is promised here: it recurses (RecursionError from
about 900 levels), names no byte, accepts trailing garbage, and knows neither references nor enums. A scan that checked
all that beforehand would already be this reader, and everything would be read twice.

One regular expression matches each token where it stands and a stack of open containers replaces recursion, so that the
time is linear in the size and nothing depends on Python's own limits.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import attrs

from snqd.core.errors import BadPayload
from snqd.core.job import MAX_BODY_BYTES
from snqd.wire import php_values
from snqd.wire.php_references import Finished, References
from snqd.wire.php_values import Key, PhpObject

__all__ = ["MAX_DEPTH", "MAX_ELEMENTS", "PhpObject", "loads"]

MAX_DEPTH = 100
MAX_ELEMENTS = 1_000_000

_TOKEN = re.compile(
    rb's:(?P<string>[0-9]{1,10}):"'
    rb"|i:(?P<integer>[-+]?[0-9]{1,20});"
    rb"|(?P<null>N);"
    rb"|b:(?P<boolean>[01]);"
    rb"|d:(?P<double>[-+.0-9EeINFA]{1,500});"
    rb"|a:(?P<array>[0-9]{1,10}):\{"
    rb'|O:(?P<object>[0-9]{1,10}):"'
    rb'|C:(?P<custom>[0-9]{1,10}):"'
    rb'|E:(?P<enum>[0-9]{1,10}):"'
    rb"|(?P<reference>[rR]:[0-9]{1,10});"
)
_COUNT = re.compile(rb":([0-9]{1,10}):\{")
_REFERENCE = re.compile(rb"[rR]:[0-9]{1,10};")
_CUT_TOKEN = re.compile(rb"[NbidsaOCErR]|[bidsaOCErR]:[-+.0-9EeINFA]{0,500}:?")
_CUT_COUNT = re.compile(rb"(?::[0-9]{0,10}:?)?")


def loads(data: bytes) -> Any:
    """The plain value of what PHP's serialize() wrote.

    Strings are str where they are UTF-8 and bytes where not. Arrays whose keys count up from 0 are lists, others dicts,
    whose integer keys stay int. Objects are :class:`PhpObject`; so are enum cases, with the member `name`, and objects
    with a format of their own (``C:``), with that text as the member `serialized`. Doubles are float, INF and NAN among
    them: a handler in Python may take them, JSON refuses them later. A reference is the same Python object as what it
    names.

    :param data: at most :data:`~snqd.core.job.MAX_BODY_BYTES`, also with every reference written out.
    :raises BadPayload: saying what is wrong and at which byte (the first is 0): broken or cut data, anything behind the
        value, more than :data:`MAX_DEPTH` levels or :data:`MAX_ELEMENTS` elements, integers beyond 64 bits, references
        that form a cycle, name nothing, or follow a ``C:`` object (which hides how many values it counts).
    """
    if len(data) > MAX_BODY_BYTES:
        raise BadPayload(f"the PHP data have {len(data)} bytes, {MAX_BODY_BYTES} are allowed")
    return _Reader(data).read()


@attrs.define
class _Open:
    """An array or object whose elements are being read."""

    start: int
    count: int
    name: bytes | None  # of the class, None for an array
    slot: int
    added: int  # what references before it added
    keys: list[Key] = attrs.field(factory=list)
    values: list[Any] = attrs.field(factory=list)
    height: int = 1

    def __str__(self) -> str:
        if self.name is None:
            return f"an array of {self.count} elements that begins at byte {self.start}"
        return f"an object {ascii(self.name[:64])[1:]} of {self.count} members that begins at byte {self.start}"

    def value(self) -> Any:
        if self.name is None:
            return php_values.array(self.keys, self.values)
        return php_values.php_object(self.name, self.keys, self.values)


class _Reader:
    """One pass over `data`."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._pos = 0
        self._root: Any = None
        self._open: list[_Open] = []
        self._elements = 0
        self._references = References(len(data)) if _REFERENCE.search(data) else None

    def read(self) -> Any:
        self._read_value()
        while self._open:
            container = self._open[-1]
            if len(container.values) == container.count:
                self._close()
            else:
                container.keys.append(self._read_key())
                self._read_value()
        if self._pos != len(self._data):
            raise BadPayload(f"the PHP value ends at byte {self._pos}, but {self._shown()} follows it")
        return self._root

    def _read_value(self) -> None:
        token = _TOKEN.match(self._data, self._pos)
        if token is None or token.lastgroup is None:
            raise self._no_value()
        _READERS[token.lastgroup](self, token)

    def _read_key(self) -> Key:
        token = _TOKEN.match(self._data, self._pos)
        if token is None:
            raise self._no_value()
        if token.lastgroup == "integer":
            key: Key = self._int64(token["integer"])
            self._pos = token.end()
        elif token.lastgroup == "string":
            key, self._pos = self._counted("a key", token.end(), int(token["string"]))
        else:
            raise BadPayload(f"byte {self._pos}: {self._shown()} can't be the key of an element")
        return key

    # One method for each kind of token.

    def _string(self, token: re.Match[bytes]) -> None:
        raw, end = self._counted("a string", token.end(), int(token["string"]))
        self._scalar(php_values.text(raw), end)

    def _integer(self, token: re.Match[bytes]) -> None:
        self._scalar(self._int64(token["integer"]), token.end())

    def _null(self, token: re.Match[bytes]) -> None:
        self._scalar(None, token.end())

    def _boolean(self, token: re.Match[bytes]) -> None:
        self._scalar(token["boolean"] == b"1", token.end())

    def _double(self, token: re.Match[bytes]) -> None:
        try:
            number = float(token["double"])
        except ValueError:
            raise self._no_value() from None
        self._scalar(number, token.end())

    def _array(self, token: re.Match[bytes]) -> None:
        self._begin(int(token["array"]), None, token.end())

    def _object(self, token: re.Match[bytes]) -> None:
        name, count, end = self._class_and_count("an object", token)
        self._begin(count, name, end)

    def _custom(self, token: re.Match[bytes]) -> None:
        name, length, begin = self._class_and_count("an object", token)
        raw, end = self._counted("the own format of an object", begin, length, closing=b"}")
        if self._references is not None:
            self._references.opaque = True
        self._scalar(PhpObject(php_values.class_text(name), {"serialized": php_values.text(raw)}), end)

    def _enum(self, token: re.Match[bytes]) -> None:
        raw, end = self._counted("an enum case", token.end(), int(token["enum"]))
        name, colon, case = raw.partition(b":")
        if not colon:
            raise BadPayload(f"byte {self._pos}: an enum case is written as Class:Case, not {ascii(raw[:64])[1:]}")
        self._scalar(PhpObject(php_values.class_text(name), {"name": php_values.class_text(case)}), end)

    def _reference(self, token: re.Match[bytes]) -> None:
        assert self._references is not None, "the search for references finds every token"
        kind, number = token["reference"].split(b":")
        finished = self._references.follow(int(number), MAX_DEPTH - len(self._open), self._pos)
        if kind == b"r":  # repeats an object and takes a number; R: is the same variable and takes none
            self._references.append(finished)
        self._add(finished.value, finished.height)
        self._pos = token.end()

    # What they share.

    def _scalar(self, value: Any, end: int) -> None:
        if self._references is not None:
            self._references.append(Finished(value, end - self._pos, 0))
        self._add(value, 0)
        self._pos = end

    def _add(self, value: Any, height: int) -> None:
        if not self._open:
            self._root = value
            return
        container = self._open[-1]
        container.values.append(value)
        if container.height <= height:
            container.height = height + 1

    def _begin(self, count: int, name: bytes | None, end: int) -> None:
        if len(self._open) == MAX_DEPTH:
            raise BadPayload(f"byte {self._pos}: the value nests deeper than {MAX_DEPTH} levels")
        self._elements += count
        if self._elements > MAX_ELEMENTS:
            raise BadPayload(f"byte {self._pos}: {self._elements} elements up to here, {MAX_ELEMENTS} are allowed")
        slot = added = 0
        if self._references is not None:
            slot, added = self._references.append(None), self._references.added
        self._open.append(_Open(self._pos, count, name, slot, added))
        self._pos = end

    def _close(self) -> None:
        container = self._open[-1]
        if self._pos == len(self._data):
            raise BadPayload(f"the PHP data end before the closing brace of {container}")
        if not self._data.startswith(b"}", self._pos):
            raise BadPayload(f"byte {self._pos}: {self._shown()} where the closing brace belongs of {container}")
        self._open.pop()
        self._pos += 1
        value = container.value()
        if self._references is not None:
            size = self._pos - container.start + self._references.added - container.added
            self._references.finish(container.slot, Finished(value, size, container.height))
        self._add(value, container.height)

    def _counted(self, what: str, begin: int, length: int, closing: bytes = b'";') -> tuple[bytes, int]:
        """The `length` bytes from `begin` on, and where what follows their `closing` begins."""
        end = begin + length
        after = end + len(closing)
        if self._data[end:after] == closing:
            return self._data[begin:end], after
        if after > len(self._data):
            raise BadPayload(f"the PHP data end inside {what} of {length} bytes that begins at byte {self._pos}")
        raise BadPayload(
            f"byte {end}: {self._shown(end)} where {closing.decode()!r} should end {what} of {length} bytes "
            f"that begins at byte {self._pos}: its length is wrong"
        )

    def _class_and_count(self, what: str, token: re.Match[bytes]) -> tuple[bytes, int, int]:
        """A class's name, the number behind it, and where what that counts begins."""
        name, end = self._counted("a class name", token.end(), int(token[token.lastgroup or 0]), closing=b'"')
        count = _COUNT.match(self._data, end)
        if count is not None:
            return name, int(count[1]), count.end()
        if _CUT_COUNT.fullmatch(self._data, end):
            raise BadPayload(f"the PHP data end inside {what} that begins at byte {self._pos}")
        raise BadPayload(f"byte {end}: {self._shown(end)} where the size of the object at byte {self._pos} belongs")

    def _int64(self, digits: bytes) -> int:
        number = int(digits)
        if not php_values.MIN_INT <= number <= php_values.MAX_INT:
            raise BadPayload(f"byte {self._pos}: the integer {number} does not fit into 64 bits")
        return number

    # What is wrong, for people.

    def _no_value(self) -> BadPayload:
        if not self._data:
            return BadPayload("the PHP data are empty")
        if self._pos == len(self._data):
            container = self._open[-1]
            return BadPayload(f"the PHP data end inside {container}, after {len(container.values)}")
        if _CUT_TOKEN.fullmatch(self._data, self._pos):
            return BadPayload(f"the PHP data end inside a value that begins at byte {self._pos}")
        return BadPayload(f"byte {self._pos}: {self._shown()} begins no PHP value")

    def _shown(self, pos: int | None = None) -> str:
        begin = self._pos if pos is None else pos
        return ascii(self._data[begin : begin + 20])[1:]


_READERS: dict[str, Callable[[_Reader, re.Match[bytes]], None]] = {
    "string": _Reader._string,
    "integer": _Reader._integer,
    "null": _Reader._null,
    "boolean": _Reader._boolean,
    "double": _Reader._double,
    "array": _Reader._array,
    "object": _Reader._object,
    "custom": _Reader._custom,
    "enum": _Reader._enum,
    "reference": _Reader._reference,
}
