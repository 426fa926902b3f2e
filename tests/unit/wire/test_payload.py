from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snqd.core.errors import BadPayload
from snqd.core.job import JSON, PHP
from snqd.wire.payload import decode, encode, to_json_text
from snqd.wire.php import PhpObject

_JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=30,
)


@given(_JSON_VALUES)
def test_what_is_encoded_comes_back(value: object) -> None:
    assert decode(encode(value), JSON) == value


def test_json_is_compact_and_utf8() -> None:
    assert encode({"a": ["é", 1.5, None, True], "b": {}}) == '{"a":["é",1.5,null,true],"b":{}}'.encode()


def test_half_a_surrogate_pair_is_escaped() -> None:
    assert encode("\ud800é") == b'"\\ud800\\u00e9"'
    assert to_json_text(["\ud800", b"\xff"]) == '["\\ud800",{"base64":"/w=="}]'


def test_keys_that_are_no_text_become_text() -> None:
    assert encode({7: "a", None: "b", True: "c"}) == b'{"7":"a","null":"b","true":"c"}'


def _endless() -> list[object]:
    endless: list[object] = []
    endless.append(endless)
    return endless


def _deep() -> list[object]:
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    return deep


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"a": [1, {2}]}, "payload['a'][1]: JSON can't carry a set"),
        (b"x", "payload: JSON can't carry a bytes"),
        ({"a": {b"k": 1}}, "payload['a']: JSON can't carry the key b'k'"),
        ([0.5, math.inf], "payload[1]: JSON has no inf"),
        ({"x" * 100: math.nan}, f"payload['{'x' * 36}...]: JSON has no nan"),
        ({math.nan: 1}, "payload: JSON can't carry the key nan"),
        ([10**5000], "the payload can't be written as JSON: Exceeds the limit"),
    ],
)
def test_what_json_can_not_carry_is_named(value: object, reason: str) -> None:
    with pytest.raises(BadPayload) as caught:
        encode(value)
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize("value", [_endless(), _deep()], ids=["endless", "deep"])
@pytest.mark.parametrize("write", [encode, to_json_text])
def test_endless_nesting_is_refused(value: object, write: object) -> None:
    assert callable(write)
    with pytest.raises(BadPayload, match=r"^payload\[0\].*\.\.\.: the payload nests too deep, or contains itself$"):
        write(value)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the payload is empty"),
        (b"\xff", "byte 0: not JSON: not UTF-8"),
        ('["é" 1]'.encode(), "byte 6: not JSON: Expecting ',' delimiter"),
        (b"1 2", "byte 2: not JSON: Extra data"),
        (b"[NaN]", "not JSON: JSON has no NaN"),
        (b"-Infinity", "not JSON: JSON has no -Infinity"),
        (b"[" * 100_000, "the JSON nests too deep"),
        (b"1" * 10_000, "not JSON that can be read: Exceeds the limit"),
    ],
)
def test_broken_json_is_refused_with_its_place(body: bytes, reason: str) -> None:
    with pytest.raises(BadPayload) as caught:
        decode(body, JSON)
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"12345", 12345),
        (b"-7", -7),
        (b"<presence/>", "<presence/>"),
        (b"<m>\xff</m>", b"<m>\xff</m>"),
        (b"i:12345;", 12345),
        (b's:2:"hi";', "hi"),
    ],
)
def test_phps_payloads_may_be_bare(body: bytes, value: object) -> None:
    assert decode(body, PHP) == value


@pytest.mark.parametrize("body", [b"plain", b"99999999999999999999", b"9999999999999999999", b"12 ", b"{}", b""])
def test_other_bare_text_is_refused(body: bytes) -> None:
    with pytest.raises(BadPayload, match=r"^byte 0: '.*' begins no PHP value$|^the PHP data are empty$"):
        decode(body, PHP)


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(BadPayload, match=r"^the encoding 'yaml' is unknown: json and php can be decoded$"):
        decode(b"1", "yaml")


def test_json_for_other_programs_carries_bytes_and_numbers_as_keys() -> None:
    value = PhpObject("Foo", {"raw": b"\xff\x00", 7: [b"\xfe"], "é": (1, 2)})
    assert to_json_text(value) == '{"raw":{"base64":"/wA="},"7":[{"base64":"/g=="}],"é":[1,2]}'


def test_json_for_other_programs_carries_bytes_as_keys() -> None:
    value = {b"\xff": [{b"\xfe": b"\xfd"}], "a": 1}
    assert json.loads(to_json_text(value)) == {"base64:/w==": [{"base64:/g==": {"base64": "/Q=="}}], "a": 1}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"a": math.inf}, "payload['a']: JSON has no inf"),
        ([b"\xff", {1}], "payload[1]: JSON can't carry a set"),
        ({"a": {(1,): 1}}, "payload['a']: JSON can't carry the key (1,)"),
    ],
)
def test_what_other_programs_can_not_be_given_is_named(value: object, reason: str) -> None:
    with pytest.raises(BadPayload) as caught:
        to_json_text(value)
    assert str(caught.value) == reason
