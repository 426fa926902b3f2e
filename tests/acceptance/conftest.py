"""The farms of the acceptance tests, each ended with its test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from farm import Farm


@pytest.fixture
def make_farm(tmp_path: Path) -> Iterator[Callable[..., Farm]]:
    """Makes the test's farm: ``make_farm(**arguments of Farm)``."""
    farms: list[Farm] = []

    def make(**arguments: object) -> Farm:
        folder = tmp_path / f"farm-{len(farms)}"
        folder.mkdir()
        farms.append(Farm(folder, **arguments))  # type: ignore[arg-type]
        return farms[-1]

    yield make
    for farm in farms:
        farm.close()


@pytest.fixture
def farm(make_farm: Callable[..., Farm]) -> Farm:
    """A farm with two sites, two children and the handlers of farm_handlers; its daemon is not started yet."""
    return make_farm()
