"""A farm whose system clock the test sets, by libfaketime; monotonic clocks stay as they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from farm import CHECKOUT, HERE, Farm

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


def needs_faketime() -> None:
    """Skip the test where the library is missing; in CI that is an error."""
    if not LIBRARIES:
        message = "not installed here: apt-get install faketime"
        if os.environ.get("CI"):
            pytest.fail(f"CI must have it: {message}")
        pytest.skip(message)


class SetClock:
    """The system's clock, as all processes of `farm` see it."""

    def __init__(self, farm: Farm) -> None:
        self._file = farm.folder / "clock"
        self.step(0)
        farm.locale |= {
            "LD_PRELOAD": str(LIBRARIES[-1]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "PYTHONPATH": os.pathsep.join(map(str, (HERE / "faketime", HERE, CHECKOUT))),
        }

    def step(self, seconds: int) -> None:
        """Set it so far ahead of the real one, back where `seconds` is negative."""
        beside = self._file.with_suffix(".new")
        beside.write_text(f"{seconds:+d}\n")
        beside.replace(self._file)
