"""What the tests of sites share: settings of a text, without any file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from snqd.config.load import load
from snqd.config.settings import Settings
from snqd.config.sources import Sources


@pytest.fixture
def settings_of() -> Callable[[str], Settings]:
    """Loads a main file's text."""
    return lambda text: load(Sources(Path("/etc/snq.ini"), {"/etc/snq.ini": text}), plugins={})
