"""GNU social's and StatusNet's own jobs reach a command that keeps what it gets, or the morgue with a reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
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
KEEP = "exec: /bin/sh -c 'cat >new-$$ && mv new-$$ kept-$$'"


def samples(*patterns: str) -> list[Path]:
    return sorted(path for pattern in patterns for path in SAMPLES.glob(pattern))


# What the PHP side wrote into its queues; and what brokers made of it, with the bodies that they have cut.
WRITTEN = samples("gnusocial120-db/*.frame.bin", "*/frames/*-SEND-*.bin", "gnusocial2-redis/*.bin")
DELIVERED = samples("*/frames/*-MESSAGE-*.bin")


def expected(files: Iterable[Path]) -> tuple[list[Any], int]:
    """What the command must get, and how many of `files` no decoder can read."""
    values, broken = [], 0
    for path in files:
        try:
            values.append(json.loads(to_json_text(decode(php_job_body(path.read_bytes()).body, PHP))))
        except BadPayload:
            broken += 1
    return values, broken


def canonical(values: Iterable[Any]) -> list[str]:
    return sorted(json.dumps(value, sort_keys=True) for value in values)


def test_every_folder_of_samples_takes_part() -> None:
    folders = {path.name for path in SAMPLES.iterdir() if path.is_dir()}
    assert {path.relative_to(SAMPLES).parts[0] for path in WRITTEN} == folders


@pytest.mark.parametrize("files", [WRITTEN, DELIVERED], ids=["written", "delivered"])
def test_every_sample_is_handled_or_dead_with_a_reason(make_farm: Callable[..., Farm], files: list[Path]) -> None:
    farm = make_farm(handlers={"keep": KEEP})
    farm.start()
    farm.enqueue("--wire", "php", "alpha", "keep", *files)
    values, broken = expected(files)
    wait_until(lambda: len(list(farm.folder.glob("kept-*"))) >= len(values), 60, "the samples that can be read")
    wait_until(lambda: len(farm.dead()) >= broken, 30, "the samples that can't")
    assert canonical(json.loads(path.read_text()) for path in farm.folder.glob("kept-*")) == canonical(values)
    assert len(farm.dead()) == broken
    assert all(letter["reason"] for letter in farm.dead())
