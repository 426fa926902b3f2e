"""SiteRegistry: sites by nickname, built at first use, replaced at once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from snqd.config.settings import Settings
from snqd.core.errors import UnknownSite
from snqd.sites.registry import SiteRegistry

Load = Callable[[str], Settings]


def test_a_site_is_built_once(settings_of: Load) -> None:
    registry = SiteRegistry(settings_of("[site:b]\nweight = 2\n[site:a]\n"))
    assert registry.get("b") is registry.get("b")
    assert registry.get("b").weight == 2.0
    assert list(registry.nicknames()) == ["b", "a"]
    assert [record.weight for record in registry.records()] == [2.0, 1.0]
    assert "a" in registry
    assert "c" not in registry


@pytest.mark.parametrize(("nickname", "shown"), [("c", "'c'"), ("c\n" * 40, "'" + "c\\n" * 30 + "...'")])
def test_an_unknown_site_is_refused_with_what_to_do(settings_of: Load, nickname: str, shown: str) -> None:
    registry = SiteRegistry(settings_of("[site:a]\n"))
    with pytest.raises(UnknownSite) as caught:
        registry.get(nickname)
    assert str(caught.value) == (
        f"site {shown} is not configured: "
        "define it in a [site:NAME] section of /etc/snq.ini or of a file in its [sites] dir"
    )


def test_new_settings_hold_at_once_and_leave_sites_in_use_alone(settings_of: Load) -> None:
    registry = SiteRegistry(settings_of("[site:a]\nname = old\n[site:gone]\n"))
    old = registry.get("a")
    registry.replace(settings_of("[site:a]\nname = new\n[site:b]\n"))
    assert (old.name, registry.get("a").name) == ("old", "new")
    assert "b" in registry
    with pytest.raises(UnknownSite):
        registry.get("gone")


def test_a_site_that_nobody_asks_for_is_forgotten(settings_of: Load) -> None:
    registry = SiteRegistry(settings_of("[site:a]\n[site:b]\n"))
    busy, idle = registry.get("a"), registry.get("b")
    registry.forget_idle()
    assert registry.get("a") is busy
    registry.forget_idle()
    registry.forget_idle()
    assert registry.get("b") is not idle
