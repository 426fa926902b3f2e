"""From the text of configuration files to frozen settings, or one error that lists everything that is wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import attrs

from snqd.config.daemon_sections import NO_OVERRIDES, Overrides, read_daemon, read_queue
from snqd.config.document import Document, read_document, read_values
from snqd.config.group_sections import MAIN, check_breakouts, read_groups
from snqd.config.handler_sections import Handlers, read_handlers
from snqd.config.problems import Problems
from snqd.config.schema import SITE, SITES, SitesKeys
from snqd.config.settings import DaemonSettings, QueueSettings, Settings, SiteSettings
from snqd.config.site_sections import read_apps, read_sites
from snqd.config.source_reader import read_sources
from snqd.config.sources import Sources
from snqd.config.targets import installed_handlers
from snqd.core.errors import ConfigError

__all__ = ["Overrides", "load", "load_file", "load_leniently", "load_sites", "load_until_restart", "reload_sites"]


def load(
    sources: Sources,
    overrides: Overrides = NO_OVERRIDES,
    plugins: Mapping[str, str] | None = None,
) -> Settings:
    """Parse and check all of `sources`.

    :param overrides: what the command line says over the files.
    :param plugins: targets by queue, as installed packages register them; None looks for them.
    :raises ConfigError: listing every problem, each as ``FILE:LINE: [section] key: what is wrong and what to do``.
    """
    problems = Problems(sources.files)
    settings = _read(sources, overrides, plugins, problems)
    problems.raise_if_any()
    return settings


def load_leniently(path: Path) -> Settings:
    """The configuration whose main file is `path`, with defaults for all that is wrong: for who only looks for the
    daemon that runs, and never for a store.

    :raises ConfigError: for files that can't be read.
    """
    sources = read_sources(path)
    return _read(sources, NO_OVERRIDES, None, Problems(sources.files))


def _read(sources: Sources, overrides: Overrides, plugins: Mapping[str, str] | None, problems: Problems) -> Settings:
    overrides.check()
    document = read_document(sources, problems)
    daemon = read_daemon(document, overrides, problems)
    queue, handlers = _read_queueing(document, daemon, plugins, problems)
    groups = read_groups(document, handlers, daemon, overrides, problems)
    sites_from = read_values(SITES, document.one(SITES), problems)
    check_breakouts(document, queue, groups, handlers, problems)
    sites = read_sites(document, queue, handlers, problems)
    return Settings(
        path=sources.path,
        daemon=attrs.evolve(daemon, threads=groups[MAIN].children),
        queue=queue,
        groups=groups,
        handlers=handlers.on,
        sites_from=SitesKeys(written=sites_from, **sites_from),
        sites=sites,
        apps=read_apps(document),
    )


def load_file(
    path: Path,
    overrides: Overrides = NO_OVERRIDES,
    plugins: Mapping[str, str] | None = None,
) -> Settings:
    """Read, parse and check the configuration whose main file is `path`; see :func:`load`.

    :raises ConfigError: also for files that can't be read.
    """
    return load(read_sources(path), overrides, plugins)


def load_sites(
    settings: Settings,
    changed: Sources,
    gone: Collection[str] = (),
    overrides: Overrides = NO_OVERRIDES,
    plugins: Mapping[str, str] | None = None,
) -> Settings:
    """`settings` with only the sites of some files read again, since there may be ten thousand others.

    :param changed: the main file, whose other sections must say what `settings` do, and the files that changed.
    :param gone: files that are no more.
    :raises ConfigError: see :func:`load`.
    """
    problems = Problems(changed.files)
    document = read_document(changed, problems)
    daemon = read_daemon(document, overrides, problems)
    queue, handlers = _read_queueing(document, daemon, plugins, problems)
    renewed = {*changed.files, *gone}
    kept = {name: site for name, site in settings.sites.items() if site.source not in renewed}
    _refuse_doubles(document, kept, problems)
    read = read_sites(document, queue, handlers, problems)
    problems.raise_if_any()
    return attrs.evolve(settings, sites={**kept, **read})


@attrs.frozen
class ReloadedSites:
    """What holds from now on.

    :ivar sources: those that were given, but files with mistakes as they were.
    :ivar settings: with the sites of `sources`.
    :ivar problems: what is wrong with the files that were left out.
    """

    sources: Sources
    settings: Settings
    problems: tuple[str, ...] = ()


def reload_sites(settings: Settings, old: Sources, new: Sources, overrides: Overrides = NO_OVERRIDES) -> ReloadedSites:
    """Go over to the sites of `new`.

    :param settings: what `old` says.
    :param new: its main file says what `old`'s does, other sites aside.
    :raises ConfigError: if not even that holds which has no mistakes.
    """
    try:
        return ReloadedSites(new, _with_sites(settings, old, new, overrides))
    except ConfigError as error:
        problems = error.problems
    right = _without_wrong(new, old, problems)
    return ReloadedSites(right, _with_sites(settings, old, right, overrides), tuple(problems))


def load_until_restart(
    main: Path, text: str, overrides: Overrides = NO_OVERRIDES
) -> tuple[DaemonSettings, QueueSettings]:
    """What the main file alone says of the daemon and of the store.

    :param text: the file's, which has been loaded before.
    :raises ConfigError: if something is wrong with these sections by now.
    """
    problems = Problems([str(main)])
    document = read_document(Sources(main, {str(main): text}), Problems([]))
    daemon = read_daemon(document, overrides, problems)
    queue = read_queue(document, daemon.state_dir, problems)
    problems.raise_if_any()
    return daemon, queue


def _read_queueing(
    document: Document, daemon: DaemonSettings, plugins: Mapping[str, str] | None, problems: Problems
) -> tuple[QueueSettings, Handlers]:
    queue = read_queue(document, daemon.state_dir, problems)
    return queue, read_handlers(document, queue, installed_handlers() if plugins is None else plugins, problems)


def _refuse_doubles(document: Document, kept: Mapping[str, SiteSettings], problems: Problems) -> None:
    for nickname, section in document.labelled(SITE).items():
        if nickname in kept:
            problems.at(section, "", f"is defined already, in {kept[nickname].source}: remove one of the two")


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
