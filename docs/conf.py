"""Sphinx's configuration, and the directive ``takes-effect``."""

import sys
from configparser import ConfigParser
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

_root = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(_root))
from snqd.config.key import SectionKind, TakesEffect  # noqa: E402 - the checkout, not what is installed
from snqd.config.schema import KINDS  # noqa: E402
from snqd.pipe.version import VERSION  # noqa: E402

_setup = ConfigParser(interpolation=None)
_setup.read(_root / "setup.cfg")

project = "snqd"
author = copyright = "the snqd authors"
version = release = VERSION
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"description": _setup["metadata"]["description"]}
nitpicky = True


class TakesEffectTable(Directive):
    """A table of all keys by when they take effect, from the schema."""

    def run(self) -> list[nodes.Node]:
        table = [".. list-table::", "   :widths: 22 78", ""]
        for effect in TakesEffect:
            said = [line for kind in KINDS.values() if (line := _keys(kind, effect))]
            table += [f"   * - {effect.words}", *_bullets(said)]
        node = nodes.Element()
        self.state.nested_parse(StringList(table, source="the schema"), self.content_offset, node)
        return node.children


def _keys(kind: SectionKind, effect: TakesEffect) -> str:
    names = [f"``{key.name}``" for key in kind.keys if key.takes_effect is effect]
    if kind.open and effect is TakesEffect.AT_ONCE:
        names.append("and all other keys" if names else "all keys")
    return f"``[{kind.title}]``: {', '.join(names)}" if names else ""


def _bullets(lines: list[str]) -> list[str]:
    return [f"     {'-' if number == 0 else ' '} - {line}" for number, line in enumerate(lines)]


def setup(app) -> None:
    """Sphinx calls it."""
    app.add_directive("takes-effect", TakesEffectTable)
