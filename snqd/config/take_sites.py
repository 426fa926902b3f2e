"""Other sites for settings in force: what changed is read, and a file with mistakes counts as it was."""

from __future__ import annotations

import attrs

from snqd.config.daemon_sections import NO_OVERRIDES, Overrides
from snqd.config.load import load_sites
from snqd.config.settings import Settings
from snqd.config.sources import Sources
from snqd.core.errors import ConfigError


@attrs.frozen
class Taken:
    """What holds from now on.

    :ivar sources: those that were given, but files with mistakes as they were.
    :ivar settings: with the sites of `sources`.
    :ivar problems: what is wrong with the files that were left out.
    """

    sources: Sources
    settings: Settings
    problems: tuple[str, ...] = ()


def take_sites(settings: Settings, old: Sources, new: Sources, overrides: Overrides = NO_OVERRIDES) -> Taken:
    """Go over to the sites of `new`.

    :param settings: what `old` says.
    :param new: its main file says what `old`'s does, other sites aside.
    :raises ConfigError: if not even that holds which has no mistakes.
    """
    try:
        return Taken(new, _with_sites(settings, old, new, overrides))
    except ConfigError as error:
        problems = error.problems
    right = _without_wrong(new, old, problems)
    return Taken(right, _with_sites(settings, old, right, overrides), tuple(problems))


def _with_sites(settings: Settings, old: Sources, new: Sources, overrides: Overrides) -> Settings:
    changes = new.changes_since(old)
    if not changes:
        return settings
    changed = Sources(new.path, {str(new.path): new.main, **changes.files})
    return load_sites(settings, changed, changes.gone, overrides)


def _without_wrong(sources: Sources, old: Sources, problems: list[str]) -> Sources:
    """`sources`, but files that `problems` name as they are in `old`."""
    changed = sources.changes_since(old).files
    wrong = {name for name in changed if any(problem.startswith(f"{name}:") for problem in problems)}
    files = {name: old.files.get(name) if name in wrong else text for name, text in sources.files.items()}
    return Sources(sources.path, {name: text for name, text in files.items() if text is not None})
