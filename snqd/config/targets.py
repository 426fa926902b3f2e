"""What a queue's handler may be: the syntax of ``[handlers]`` and of the entry points that packages install.

Whether a class can be imported and a command be found is seen when :mod:`snqd.handlers` builds the handler.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from importlib.metadata import entry_points

from snqd.config.problems import did_you_mean, nearest, quoted
from snqd.config.values import BadValue, http_url

ENTRY_POINTS = "snqd.handlers"
OFF = "off"
PLACEHOLDERS = ("{site}", "{queue}", "{id}")

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*[.:][A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
_BRACED = re.compile(r"\{[^{}]*\}?|\}")
_KINDS = "write package.module.Class, exec: command, an http:// or https:// URL, or the name of an entry point"


def installed_handlers() -> dict[str, str]:
    """What installed packages register in the entry point group `snqd.handlers`: target by queue.

    Where packages disagree on a queue, its target is all of theirs joined by a comma, which no configuration accepts:
    the operator has to choose.
    """
    found: dict[str, dict[str, None]] = {}
    for point in entry_points(group=ENTRY_POINTS):
        found.setdefault(point.name, {})[point.value.partition("[")[0].strip()] = None
    return {queue: ", ".join(targets) for queue, targets in sorted(found.items())}


def read_target(text: str, plugins: Mapping[str, str], folder: str) -> str | None:
    """The handler that `text` names, None for ``off``.

    :param plugins: targets by entry point name.
    :param folder: where the relative path of a command starts.
    :returns: ``package.module.Class``, ``exec: command``, or the URL.
    :raises BadValue: if it is none of them.
    """
    if text == OFF:
        return None
    if text.startswith("exec:"):
        return _command(text.removeprefix("exec:"), folder)
    if text.startswith(("http://", "https://")):
        return http_url(text)
    if text in plugins:
        return read_plugin(plugins[text])
    if _DOTTED.fullmatch(text):
        return text.replace(":", ".")
    if _WORD.fullmatch(text):
        near = did_you_mean(nearest(text, [*plugins, OFF]))
        raise BadValue(f"no installed package has the entry point {quoted(text)}{near}: install it, or {_KINDS}")
    raise BadValue(f"{quoted(text)} is no handler: {_KINDS}")


def takes_options(target: str) -> bool:
    """Whether a handler can have options of its own: a class can, a command or a web service can't."""
    return not target.startswith(("exec:", "http://", "https://"))


def read_plugin(target: str) -> str:
    """The dotted path of what an entry point names.

    :raises BadValue: if it names no class, or packages disagree.
    """
    if "," in target:
        raise BadValue(f"several packages handle it ({target}): choose one in [handlers]")
    if not _DOTTED.fullmatch(target) or ":" not in target:
        raise BadValue(f"its package registers {quoted(target)}, which is no class (module:Class): choose another")
    return target.replace(":", ".")


def _command(text: str, folder: str) -> str:
    try:
        argv = shlex.split(text)
    except ValueError as error:
        raise BadValue(f"the command after exec: can't be split into words: {error}") from error
    if not argv or not argv[0]:
        raise BadValue("no command follows exec: write exec: /path/to/command")
    _check_placeholders(argv)
    if "/" in argv[0]:
        argv[0] = os.path.normpath(os.path.join(folder, argv[0]))
    return f"exec: {shlex.join(argv)}"


def _check_placeholders(argv: list[str]) -> None:
    for word in argv:
        for braced in _BRACED.findall(word):
            if braced not in PLACEHOLDERS:
                raise BadValue(f"{quoted(braced)} is no placeholder: only {', '.join(PLACEHOLDERS)} are filled in")
    if "{" in argv[0]:
        raise BadValue("the command itself is a placeholder: name a fixed command")
