"""Values as PHP's unserialize() reads them."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
from base64 import b64decode, b64encode
from typing import Any

import phpserialize
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snqd.core.errors import BadPayload, PayloadTooLarge
from snqd.core.job import JSON, MAX_BODY_BYTES, PHP
from snqd.wire import php
from snqd.wire.own import PHP_BASE64, check_body, php_body
from snqd.wire.payload import decode, encode
from snqd.wire.php_writer import dumps

INTEGERS = st.integers(-(2**63), 2**63 - 1)
SCALARS = st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8"))
KEYS = st.text(st.characters(codec="utf-8")) | INTEGERS.map(str)
VALUES = st.recursive(SCALARS, lambda each: st.lists(each) | st.dictionaries(KEYS, each), max_leaves=30)


def as_php_keeps(value: Any) -> Any:
    """What becomes of a JSON value in PHP's one kind of array."""
    if isinstance(value, list):
        return [as_php_keeps(part) for part in value]
    if not isinstance(value, dict):
        return value
    kept = {_key(key): as_php_keeps(part) for key, part in value.items()}
    return list(kept.values()) if list(kept) == list(range(len(kept))) else kept


def _key(key: str) -> int | str:
    number = key.isascii() and key.removeprefix("-").isdigit() and str(int(key)) == key
    return int(key) if number and -(2**63) <= int(key) < 2**63 else key


@given(VALUES)
def test_a_value_comes_back_as_far_as_php_has_it(value: Any) -> None:
    back = php.loads(dumps(value))
    assert back == as_php_keeps(value)
    assert type(back) is type(as_php_keeps(value))


@given(VALUES)
def test_the_library_phpserialize_reads_it_too(value: Any) -> None:
    phpserialize.loads(dumps([value]), decode_strings=True)


WRITTEN = [
    ({"id": 7, "on": True}, b'a:2:{s:2:"id";i:7;s:2:"on";b:1;}'),
    (["caf\u00e9", None, -1.5, 1e16], b'a:4:{i:0;s:5:"caf\xc3\xa9";i:1;N;i:2;d:-1.5;i:3;d:1e+16;}'),
    ({"7": 1, "07": 2, "-0": 3}, b'a:3:{i:7;i:1;s:2:"07";i:2;s:2:"-0";i:3;}'),
    ({}, b"a:0:{}"),
    (math.inf, b"d:INF;"),
]


@pytest.mark.parametrize(("value", "written"), WRITTEN)
def test_is_written_as_php_writes_it(value: Any, written: bytes) -> None:
    assert dumps(value) == written


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


REFUSED = [
    ({"a": [1, 2**63]}, r"payload\['a'\]\[1\]: the integer does not fit"),
    ({"a": "\ud800"}, r"payload\['a'\]: half a surrogate pair"),
    ({"\udfff": 1}, "half a surrogate pair"),
    (nested(php.MAX_DEPTH + 1), "nests deeper than the 100 levels"),
    ([0] * (php.MAX_ELEMENTS + 1), "more than the 1000000 elements"),
]


@pytest.mark.parametrize(("value", "reason"), REFUSED, ids=range(len(REFUSED)))
def test_what_php_or_its_reader_here_cant_take_is_refused_with_its_place(value: Any, reason: str) -> None:
    with pytest.raises(BadPayload, match=reason):
        dumps(value)


def test_as_many_levels_as_are_read_are_written() -> None:
    assert php.loads(dumps(nested(php.MAX_DEPTH))) == nested(php.MAX_DEPTH)


# Bodies of jobs


@given(VALUES.filter(lambda value: "Infinity" not in json.dumps(value)))
def test_a_json_body_becomes_one_of_the_same_value(value: Any) -> None:
    body = encode(value)
    assert decode(php_body(body, JSON, PHP_BASE64), PHP) == as_php_keeps(decode(body, JSON))


@pytest.mark.parametrize(("body", "encoding"), [(b'{"a":"x\\u0000y"}', JSON), (b's:3:"x\0y";', PHP)])
def test_a_nul_is_refused_where_phps_daemons_would_cut_at_it_and_not_in_base64(body: bytes, encoding: str) -> None:
    with pytest.raises(BadPayload, match=r"holds a NUL.*wire = php-base64"):
        check_body(body, encoding, PHP)
    check_body(body, encoding, PHP_BASE64)
    check_body(body, encoding, JSON)


def test_a_payload_that_is_too_large_as_php_is_refused() -> None:
    body = b'"%b"' % (b"a" * (MAX_BODY_BYTES - 2))
    check_body(body, JSON, JSON)
    with pytest.raises(PayloadTooLarge):
        check_body(body, JSON, PHP)


# PHP itself

_SCRIPT = """
while (($line = fgets(STDIN)) !== false) {
    $value = unserialize(base64_decode(trim($line)));
    echo base64_encode(serialize($value)), "\\n";
}
"""
VALUES_FOR_PHP = [
    *(value for value, _ in WRITTEN),
    {"text": 'snow \u2603 \U0001f600 "quoted";}', "nested": [[], {}, [None, False, {"a": {"b": [1.25, -(2**63)]}}]]},
    {str(2**63 - 1): 1, str(2**63): 2, str(-(2**63)): 3, "": 4, " 1": 5, "1.5": 6},
    [0.1, 1e-7, 1.7976931348623157e308, 5e-324, -0.0],
    "",
    0,
    nested(php.MAX_DEPTH),
]


@pytest.mark.skipif(not shutil.which("php") and not os.environ.get("CI"), reason="needs PHP: apt-get install php-cli")
def test_phps_own_unserialize_reads_what_is_written() -> None:
    lines = b"".join(b64encode(dumps(value)) + b"\n" for value in VALUES_FOR_PHP)
    ran = subprocess.run(["php", "-n", "-r", _SCRIPT], input=lines, capture_output=True, check=True, timeout=30)
    back = [php.loads(b64decode(line)) for line in ran.stdout.splitlines()]
    assert back == [as_php_keeps(value) for value in VALUES_FOR_PHP]
