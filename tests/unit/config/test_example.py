"""etc/snq.ini: it loads as it is, and documents every key that exists with its default."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from snqd.config.load import load_file
from snqd.config.schema import KINDS
from snqd.sites.registry import SiteRegistry

EXAMPLE = Path(__file__).parents[3] / "etc" / "snq.ini"


def documented() -> dict[tuple[str, str], tuple[bool, str]]:
    """Every key in the example, by kind of section and name: whether it is commented out, and its value."""
    found: dict[tuple[str, str], tuple[bool, str]] = {}
    kind = ""
    for line in EXAMPLE.read_text().splitlines():
        if header := re.fullmatch(r"#?\[([a-z]+)(:\w+)?\]", line):
            kind = header[1]
        elif setting := re.fullmatch(r"(#?)(\S+) =(.*)", line):
            found.setdefault((kind, setting[2]), (bool(setting[1]), setting[3].strip()))
    return found


ALL_KEYS = [(kind.name, key.name) for kind in KINDS.values() for key in kind.keys]


@pytest.mark.parametrize("key", ALL_KEYS)
def test_every_key_is_there(key: tuple[str, str]) -> None:
    assert key in documented()


@pytest.mark.parametrize("key", ALL_KEYS)
def test_what_is_commented_out_shows_the_default(key: tuple[str, str]) -> None:
    commented, value = documented()[key]
    kind, name = key
    assert not commented or value == KINDS[kind].by_name[name].default


def test_there_is_no_key_that_does_not_exist() -> None:
    unknown = [key for key in documented() if key[1] not in KINDS[key[0]].by_name and not KINDS[key[0]].open]
    overrides = ["handlers.shell", "handler:resize.timeout", "app.greet.greeting"]
    assert sorted(unknown) == sorted(("site", name) for name in overrides)


def test_with_every_comment_removed_from_a_default_it_still_loads(tmp_path: Path) -> None:
    text = re.sub(r"(?m)^#(?=\S+ =|\[site:)", "", EXAMPLE.read_text()).replace("#[group:pictures]", "[group:main]")
    (tmp_path / "snq.ini").write_text(text)
    settings = load_file(tmp_path / "snq.ini", plugins={})
    assert "gamma" in settings.sites


def test_it_runs_the_demo() -> None:
    settings = load_file(EXAMPLE, plugins={})
    assert {queue: handler.target for queue, handler in settings.handlers.items()} == {
        "greet": "snqd.demo.Greet",
        "resize": "snqd.demo.Resize",
        "shell": "exec: /bin/cat",
    }
    assert settings.queue.monitor == ""
    sites = SiteRegistry(settings)
    assert {name: sites.get(name).weight for name in sites.nicknames()} == {"alpha": 1.0, "beta": 2.0}
    assert sites.get("alpha").config("greet", "greeting") == "Hello"
    assert sites.get("beta").config("greet", "greeting") == "Welcome"
