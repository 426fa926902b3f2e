"""From the text of configuration files to frozen settings, or one error that lists everything that is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs

from snqd.config.daemon_sections import NO_OVERRIDES, Overrides, read_daemon, read_queue
from snqd.config.document import read_document, read_values
from snqd.config.group_sections import MAIN, read_groups
from snqd.config.handler_sections import read_handlers
from snqd.config.problems import Problems
from snqd.config.schema import SITES
from snqd.config.settings import Settings
from snqd.config.site_sections import read_apps, read_sites
from snqd.config.sources import Sources, read_sources
from snqd.config.targets import installed_handlers

__all__ = ["Overrides", "load", "load_file"]


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
    overrides.check()
    problems = Problems(sources.files)
    document = read_document(sources, problems)
    daemon = read_daemon(document, overrides, problems)
    queue = read_queue(document, daemon.state_dir, problems)
    handlers = read_handlers(document, queue, installed_handlers() if plugins is None else plugins, problems)
    groups = read_groups(document, handlers, daemon, overrides, problems)
    read_values(SITES, document.one(SITES), problems)
    sites = read_sites(document, queue, handlers, problems)
    problems.raise_if_any()
    return Settings(
        path=sources.path,
        daemon=attrs.evolve(daemon, threads=groups[MAIN].children),
        queue=queue,
        groups=groups,
        handlers=handlers.on,
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
