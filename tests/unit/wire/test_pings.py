from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from snqd.wire.pings import counter_fields, encode, state_fields

SAMPLES = sorted((Path(__file__).resolve().parents[2] / "samples").glob("*/udp-*.bin"))


def test_there_are_samples_of_both_daemons() -> None:
    assert len(SAMPLES) == 33 + 55


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_writes_what_statusnet_sent(path: Path) -> None:
    sent = path.read_bytes()
    values = parse_qsl(sent.decode(), keep_blank_values=True)
    fields = dict(values)
    if "counter" in fields:
        written = counter_fields(fields["counter"], [value for name, value in values if name.startswith("owners")])
    else:
        written = state_fields(fields["thread_id"], fields["state"], fields["substate"], float(fields["ts"]))
    assert encode(written) == sent


@pytest.mark.parametrize(
    ("ts", "written"),
    [
        (1795488107.80924, "1795488107.8092"),
        (1795488149.39, "1795488149.39"),
        (1795488149.0, "1795488149"),
        (1795488149.99996, "1795488150"),
        (0.0, "0"),
    ],
)
def test_time_has_fourteen_digits_and_no_trailing_zeros(ts: float, written: str) -> None:
    assert encode(state_fields("t", "idle", "", ts)) == f"thread_id=t&state=idle&substate=&ts={written}".encode()


def test_escapes_as_php_does() -> None:
    assert encode([("a[0]", "x y~z-._é&=+/")]) == b"a%5B0%5D=x+y%7Ez-._%C3%A9%26%3D%2B%2F"
