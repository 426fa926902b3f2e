"""GNU social's and StatusNet's own jobs reach a command that keeps what it gets, or the morgue with a reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from farm import Farm
from waiting import wait_until

from snqd.core.errors import BadPayload
from snqd.core.job import PHP
from snqd.wire.envelope import php_job_body
from snqd.wire.payload import decode, to_json_text

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
FILES = sorted(
    [
        *SAMPLES.glob("gnusocial120-db/*.frame.bin"),
        *SAMPLES.glob("*/frames/*-SEND-*.bin"),
        *SAMPLES.glob("gnusocial2-redis/*item*.bin"),
    ]
)
FOLDERS = {"gnusocial120-db", "gnusocial120-rabbitmq", "gnusocial2-redis", "statusnet10-activemq"}


def expected() -> tuple[list[Any], int]:
    """What the command must get, and how many samples no decoder can read."""
    values, broken = [], 0
    for path in FILES:
        try:
            values.append(json.loads(to_json_text(decode(php_job_body(path.read_bytes()).body, PHP))))
        except BadPayload:
            broken += 1
    return values, broken


def kept(farm: Farm) -> Iterator[Any]:
    for path in farm.folder.glob("kept-*"):
        yield json.loads(path.read_text())


def canonical(values: list[Any]) -> list[str]:
    return sorted(json.dumps(value, sort_keys=True) for value in values)


@pytest.fixture
def samples_farm(make_farm: Callable[..., Farm]) -> Farm:
    return make_farm(handlers={"keep": "exec: /bin/sh -c 'cat >kept-{id}.new && mv kept-{id}.new kept-{id}'"})


def test_every_folder_of_samples_takes_part() -> None:
    assert {path.relative_to(SAMPLES).parts[0] for path in FILES} == FOLDERS


def test_every_sample_is_handled_or_dead_with_a_reason(samples_farm: Farm) -> None:
    farm = samples_farm
    farm.start()
    farm.enqueue("--wire", "php", "alpha", "keep", *FILES)
    values, broken = expected()
    wait_until(lambda: len(list(farm.folder.glob("kept-*[!w]"))) == len(values), 60, "the samples that can be read")
    wait_until(lambda: len(farm.dead()) == broken, 30, "the samples that a broker has cut")
    assert canonical(list(kept(farm))) == canonical(values)
    assert all(letter["reason"] for letter in farm.dead())
