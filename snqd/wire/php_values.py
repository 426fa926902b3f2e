"""The plain values that PHP's data become: text, lists, dicts and :class:`PhpObject`; built by :mod:`snqd.wire.php`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Union

Key = Union[int, bytes]

MIN_INT = -(2**63)
MAX_INT = 2**63 - 1
_INTEGER_KEY = re.compile(rb"0|-?[1-9][0-9]{0,18}")


class PhpObject(dict[Any, Any]):
    """An object as plain data: its members by name. No class of that name is ever looked for.

    :ivar class_name: what PHP called it.
    """

    def __init__(self, class_name: str, members: Mapping[Any, Any]) -> None:
        super().__init__(members)
        self.class_name = class_name

    def __repr__(self) -> str:
        return f"PhpObject({self.class_name!r}, {super().__repr__()})"


def text(raw: bytes) -> str | bytes:
    """`raw` as str where it is UTF-8, as it is where not."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def class_text(raw: bytes) -> str:
    """A class or case name, for people: bytes that are not UTF-8 are escaped."""
    return raw.decode(errors="backslashreplace")


def array(keys: list[Key], values: list[Any]) -> list[Any] | dict[Any, Any]:
    """A PHP array: a list if `keys` count up from 0, else a dict, where the last of repeated keys wins."""
    if keys == list(range(len(keys))):
        return values
    return dict(zip(map(array_key, keys), values, strict=True))


def php_object(name: bytes, keys: list[Key], values: list[Any]) -> PhpObject:
    """A PHP object.

    Members lose the prefix that says who may see them (NUL ``*`` NUL for protected, NUL class NUL for private), unless
    two members would then have one name: those keep theirs.
    """
    members = {_member_key(key): value for key, value in zip(_member_names(keys), values, strict=True)}
    return PhpObject(class_text(name), members)


def array_key(key: Key) -> int | str | bytes:
    """As PHP does it, text that is an integer's usual form becomes the integer."""
    if isinstance(key, int):
        return key
    if _INTEGER_KEY.fullmatch(key) and MIN_INT <= int(key) <= MAX_INT:
        return int(key)
    return text(key)


def _member_key(key: Key) -> int | str | bytes:
    return key if isinstance(key, int) else text(key)


def _member_names(keys: list[Key]) -> list[Key]:
    bare = [_without_prefix(key) for key in keys]
    if bare == keys:
        return keys
    first: dict[Key, Key] = {}
    shared = {plain for plain, key in zip(bare, keys, strict=True) if first.setdefault(plain, key) != key}
    return [key if plain in shared else plain for plain, key in zip(bare, keys, strict=True)]


def _without_prefix(key: Key) -> Key:
    if isinstance(key, int) or key[:1] != b"\0":
        return key
    end = key.find(b"\0", 1)
    return key if end < 0 else key[end + 1 :]
