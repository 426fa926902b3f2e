"""What the tests of configuration share: settings and problems of a text, without any file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from snqd.config.load import Overrides, load
from snqd.config.settings import Settings
from snqd.config.sources import Sources
from snqd.core.errors import ConfigError

MAIN = "/etc/snq.ini"


@pytest.fixture
def settings_of() -> Callable[..., Settings]:
    """Loads a main file's text, and perhaps further files by path."""

    def settings_of(
        text: str,
        files: Mapping[str, str] | None = None,
        overrides: Overrides = Overrides(),  # noqa: B008
        plugins: Mapping[str, str] | None = None,
    ) -> Settings:
        return load(Sources(Path(MAIN), {MAIN: text, **(files or {})}), overrides, plugins or {})

    return settings_of


@pytest.fixture
def problems_of(settings_of: Callable[..., Settings]) -> Callable[..., list[str]]:
    """The problems of a main file's text, as the operator reads them."""

    def problems_of(*args: object, **kwargs: object) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            settings_of(*args, **kwargs)
        assert str(caught.value) == "\n".join(caught.value.problems)
        return caught.value.problems

    return problems_of
