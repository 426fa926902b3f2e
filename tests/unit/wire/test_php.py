from __future__ import annotations

import contextlib
import json
import math
import sys
from typing import Any

import phpserialize
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snqd.core.errors import BadPayload
from snqd.core.job import MAX_BODY_BYTES
from snqd.wire.php import MAX_DEPTH, MAX_ELEMENTS, PhpObject, loads


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"N;", None),
        (b"b:1;", True),
        (b"b:0;", False),
        (b"i:-5;", -5),
        (b"i:9223372036854775807;", 2**63 - 1),
        (b"i:-9223372036854775808;", -(2**63)),
        (b"d:0.1;", 0.1),
        (b"d:1.0E+25;", 1e25),
        (b"d:-INF;", -math.inf),
        (b"d:0.1000000000000000055511151231257827021181583404541015625;", 0.1),
        (b's:0:"";', ""),
        (b's:5:"caf\xc3\xa9";', "café"),
        (b's:4:"caf\xe9";', b"caf\xe9"),
        (b's:5:"a";b"";', 'a";b"'),
        (b"a:0:{}", []),
        (b"a:2:{i:0;N;i:1;i:7;}", [None, 7]),
        (b"a:2:{i:1;N;i:0;i:7;}", {1: None, 0: 7}),
        (b"a:1:{i:1;N;}", {1: None}),
        (b'a:2:{s:1:"a";i:1;s:1:"a";i:2;}', {"a": 2}),
        (b'a:2:{s:1:"7";i:1;s:2:"07";i:2;}', {7: 1, "07": 2}),
        (b'a:1:{s:1:"\xff";i:1;}', {b"\xff": 1}),
        (b"d:NAN;", pytest.approx(math.nan, nan_ok=True)),
    ],
)
def test_reads_what_php_writes(data: bytes, value: object) -> None:
    read = loads(data)
    assert read == value
    assert type(read) is type(value) or isinstance(read, float)


def test_an_object_is_a_mapping_that_knows_its_class() -> None:
    value = loads(b'O:3:"Foo":3:{s:1:"a";i:1;s:4:"\0*\0b";i:2;s:6:"\0Foo\0c";i:3;}')
    assert value == {"a": 1, "b": 2, "c": 3}
    assert isinstance(value, PhpObject)
    assert value.class_name == "Foo"
    assert repr(value) == "PhpObject('Foo', {'a': 1, 'b': 2, 'c': 3})"


def test_members_that_would_share_a_name_keep_their_prefix() -> None:
    value = loads(b'O:3:"Foo":3:{s:6:"\0Foo\0a";i:1;s:6:"\0Bar\0a";i:2;s:4:"\0*\0b";i:3;}')
    assert value == {"\0Foo\0a": 1, "\0Bar\0a": 2, "b": 3}


def test_an_object_that_serialized_itself_as_a_list_keeps_its_numbers() -> None:
    assert loads(b'O:11:"ArrayObject":2:{i:0;i:0;i:1;a:0:{}}') == {0: 0, 1: []}


def test_an_objects_own_format_is_kept_as_text() -> None:
    value = loads(b'a:2:{i:0;C:11:"ArrayObject":14:{x:i:0;a:0:{};m}i:1;i:5;}')
    assert value == [{"serialized": "x:i:0;a:0:{};m"}, 5]
    assert value[0].class_name == "ArrayObject"


def test_an_enum_case_has_its_name() -> None:
    value = loads(b'E:11:"Suit:Hearts";')
    assert value == {"name": "Hearts"}
    assert value.class_name == "Suit"


def test_references_are_the_values_they_name() -> None:
    # $o = new stdClass; $o->x = 1; serialize([$o, $o, &$v, &$v, 3]): r: takes a number of its own, R: none.
    value = loads(b'a:5:{i:0;O:8:"stdClass":1:{s:1:"x";i:1;}i:1;r:2;i:2;i:7;i:3;R:5;i:4;R:4;}')
    assert value == [{"x": 1}, {"x": 1}, 7, 7, {"x": 1}]
    assert value[0] is value[1]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the PHP data are empty"),
        (b"x", "byte 0: 'x' begins no PHP value"),
        (b"i:1", "the PHP data end inside a value that begins at byte 0"),
        (b"i:1;i:2;", "the PHP value ends at byte 4, but 'i:2;' follows it"),
        (b"N;\n", "the PHP value ends at byte 2, but '\\n' follows it"),
        (b"i:9223372036854775808;", "byte 0: the integer 9223372036854775808 does not fit into 64 bits"),
        (b"i:" + b"1" * 30 + b";", "byte 0: 'i:111111111111111111' begins no PHP value"),
        (b"d:E;", "byte 0: 'd:E;' begins no PHP value"),
        (b"b:2;", "byte 0: 'b:2;' begins no PHP value"),
        (b's:-1:"";', "byte 0: 's:-1:\"\";' begins no PHP value"),
        (b'a:1:{i:0;s:5:"ab', "the PHP data end inside a string of 5 bytes that begins at byte 9"),
        (b's:1:"ab";', "byte 6: 'b\";' where '\";' should end a string of 1 bytes that begins at byte 0"),
        (b"a:1:{N;N;}", "byte 5: 'N;N;}' can't be the key of an element"),
        (b"a:1:{a:0:{}N;}", "byte 5: 'a:0:{}N;}' can't be the key of an element"),
        (b"a:2:{i:0;N;", "the PHP data end inside an array of 2 elements that begins at byte 0, after 1"),
        (b"a:2:{i:0;N;}", "byte 11: '}' begins no PHP value"),
        (b"a:1:{i:0;N;", "the PHP data end before the closing brace of an array of 1 elements that begins at byte 0"),
        (b"a:1:{i:0;N;N;}", "byte 11: 'N;}' where the closing brace belongs of an array of 1 elements"),
        (b'O:1:"F":1:{', "the PHP data end inside an object 'F' of 1 members that begins at byte 0, after 0"),
        (b'O:1:"F":', "the PHP data end inside an object that begins at byte 0"),
        (b'O:1:"F"x', "byte 7: 'x' where the size of the object at byte 0 belongs"),
        (b'O:+1:"F":0:{}', "byte 0: 'O:+1:\"F\":0:{}' begins no PHP value"),
        (b'C:1:"F":9:{abc}', "the PHP data end inside the own format of an object of 9 bytes"),
        (b'E:4:"Suit";', "byte 0: an enum case is written as Class:Case, not 'Suit'"),
        (b"R:1;", "byte 0: the reference names value 1 of 0"),
        (b"a:1:{i:0;R:1;}", "byte 9: the reference names what it is itself a part of"),
        (b"a:1:{i:0;R:9;}", "byte 9: the reference names value 9 of 1"),
        (b"a:1:{i:0;r:0;}", "byte 9: the reference names value 0 of 1"),
        (b'a:2:{i:0;C:1:"F":0:{}i:1;r:2;}', "byte 25: a reference behind an object with a format of its own"),
    ],
)
def test_says_what_is_wrong_and_where(data: bytes, reason: str) -> None:
    with pytest.raises(BadPayload) as caught:
        loads(data)
    assert str(caught.value).startswith(reason)


def _nested(levels: int, inner: bytes = b"N;") -> bytes:
    return b"a:1:{i:0;" * levels + inner + b"}" * levels


def test_depth_is_limited_whatever_python_allows() -> None:
    loads(_nested(MAX_DEPTH))
    where = len(b"a:1:{i:0;") * MAX_DEPTH
    for levels in (MAX_DEPTH + 1, sys.getrecursionlimit() * 10):
        with pytest.raises(BadPayload, match=f"^byte {where}: the value nests deeper than {MAX_DEPTH} levels$"):
            loads(_nested(levels))


def test_elements_are_limited_before_they_are_read() -> None:
    with pytest.raises(BadPayload, match=f"^byte 0: {MAX_ELEMENTS + 1} elements up to here"):
        loads(b"a:%d:{" % (MAX_ELEMENTS + 1))
    with pytest.raises(BadPayload, match=f"^byte 9: {MAX_ELEMENTS + 1} elements up to here"):
        loads(b"a:1:{i:0;a:%d:{" % MAX_ELEMENTS)


def test_size_is_limited() -> None:
    fits = MAX_BODY_BYTES - len(b's:00000000:"";')
    assert len(loads(b's:%08d:"%s";' % (fits, b"x" * fits))) == fits
    with pytest.raises(BadPayload, match=f"{MAX_BODY_BYTES} are allowed"):
        loads(b"x" * (MAX_BODY_BYTES + 1))


def test_references_can_not_unfold_into_more_than_a_payload_may_hold() -> None:
    # Each element is a list of the one before it, twice: 2 ** 60 values if written out.
    pairs = b"".join(b"i:%d;a:2:{i:0;R:%d;i:1;R:%d;}" % (n, n + 1, n + 1) for n in range(1, 60))
    with pytest.raises(BadPayload, match="with its references written out the value has over"):
        loads(b"a:60:{i:0;a:0:{}" + pairs + b"}")


def test_references_can_not_unfold_into_more_levels_than_allowed() -> None:
    chain = b"".join(b"i:%d;a:1:{i:0;R:%d;}" % (n, n + 1) for n in range(1, 200))
    with pytest.raises(BadPayload, match="the reference makes the value nest too deep"):
        loads(b"a:200:{i:0;a:0:{}" + chain + b"}")


_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary().filter(lambda raw: not _is_utf8(raw))
)
_KEYS = st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(exclude_categories=["Cs", "N"]))
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(_KEYS, inner, max_size=5), max_leaves=30
)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _as_php_gives(value: Any) -> Any:
    """Dicts whose keys count up from 0 are lists in PHP."""
    if isinstance(value, dict):
        inner = {key: _as_php_gives(part) for key, part in value.items()}
        return list(inner.values()) if list(inner) == list(range(len(inner))) else inner
    return [_as_php_gives(part) for part in value] if isinstance(value, list) else value


@given(_VALUES)
def test_reads_what_phpserialize_writes(value: object) -> None:
    assert loads(phpserialize.dumps(value)) == _as_php_gives(value)


_PIECES = st.sampled_from(
    [b"a:2:{", b"i:0;", b"i:1;", b"}", b's:1:"x";', b"N;", b"R:1;", b"r:2;", b'O:1:"F":1:{', b'C:1:"F":1:{', b"d:INF;"]
)


@given(st.binary() | st.lists(_PIECES, max_size=30).map(b"".join))
def test_anything_else_is_refused_or_gives_a_value(data: bytes) -> None:
    with contextlib.suppress(BadPayload):
        json.dumps(loads(data), default=repr, skipkeys=True)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "data",
    [
        b"a:300000:{" + b"".join(b"i:%d;i:1;" % n for n in range(300_000)) + b"}",
        b"a:300000:{" + b"".join(b's:8:"%08x";N;' % n for n in range(300_000)) + b"}",
        b"a:300000:{i:0;i:1;" + b"".join(b"i:%d;R:2;" % n for n in range(1, 300_000)) + b"}",
        b'O:1:"F":300000:{' + b"".join(b's:11:"\0*\0%08x";N;' % n for n in range(300_000)) + b"}",
    ],
    ids=["list", "dict", "references", "members"],
)
def test_large_data_take_no_quadratic_time(data: bytes) -> None:
    """Each takes seconds at most; with anything quadratic, hours."""
    assert len(loads(data)) == 300_000


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "data",
    [
        b's:9999999:"' + b'";' * 4_000_000,
        b"R:" * 8_000_000,
        b"a:1:{i:" + b"1" * 16_000_000,
        b"d:" + b"1" * 16_000_000,
    ],
    ids=["quotes", "no references", "digits of a key", "digits of a double"],
)
def test_large_hostile_data_take_no_quadratic_time(data: bytes) -> None:
    with pytest.raises(BadPayload, match="byte"):
        loads(data)
