"""Invocation: what the commands of snqctl have in common: the configuration, the stores, and how they speak."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import click

from snqd.config.load import load_file, load_leniently
from snqd.config.settings import Settings
from snqd.core.errors import ConfigError, SnqdError
from snqd.core.names import check_queue, check_site
from snqd.sites.registry import SiteRegistry
from snqd.sites.targets import check_target
from snqd.stores.blocking import IBlockingQueue
from snqd.stores.factory import make_morgue, make_queue
from snqd.stores.morgue.morgue import Morgue

local_option = click.option(
    "--local", is_flag=True, help="Only this host's daemon; on the embedded store there are no others."
)


class WrongUse(SnqdError):
    """That can't be asked for."""


class Invocation:
    """One call of snqctl.

    :param config: what ``--config`` says.
    """

    def __init__(self, config: Path | None) -> None:
        self._config = config

    @cached_property
    def settings(self) -> Settings:
        """The configuration.

        :raises ConfigError: if it is wrong.
        """
        if self._config is None:
            raise WrongUse("no configuration is named: say snqctl --config etc/snq.ini COMMAND")
        return load_file(self._config)

    def lenient_settings(self) -> Settings | None:
        """What reaches the daemon that runs although the configuration is wrong, which is complained of; None where
        nothing is wrong.

        :raises ConfigError: if its files can't be read.
        """
        try:
            _ = self.settings
        except ConfigError as error:
            assert self._config is not None
            settings = load_leniently(self._config)
            for line in str(error).splitlines():
                complain(line)
            complain(f"the configuration is wrong: the daemon is asked nevertheless, at {settings.daemon.control}")
            return settings
        return None

    @cached_property
    def sites(self) -> SiteRegistry:
        """The sites."""
        return SiteRegistry(self.settings)

    def check_target(self, site: str, queue: str) -> None:
        """See :func:`snqd.sites.targets.check_target`."""
        check_target(self.settings, self.sites, site, queue)

    def check_names(self, site: str | None = None, queue: str | None = None) -> None:
        """Nothing, if a site and a queue may be called so.

        :raises BadName: otherwise.
        """
        if site is not None:
            check_site(site)
        if queue is not None:
            check_queue(queue)

    @contextmanager
    def store(self) -> Iterator[IBlockingQueue]:
        """The store; opened, and made where it is missing, by the first use."""
        queue = make_queue(self.settings)
        try:
            yield queue
        finally:
            queue.close()

    @contextmanager
    def morgue(self) -> Iterator[Morgue]:
        """The morgue; opened, and made where it is missing, by the first use."""
        morgue = make_morgue(self.settings.queue)
        try:
            yield morgue
        finally:
            morgue.close()


def complain(text: str) -> None:
    """One line on stderr."""
    click.echo(f"snqctl: {printable(text)}", err=True)


def say(text: str) -> None:
    """A line on stdout; if nobody reads that any more, on stderr."""
    try:
        click.echo(text)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at the interpreter's end
        click.echo(text, err=True)


def say_json(document: Any) -> None:
    """One JSON document on stdout."""
    say(json.dumps(document, indent=2))


def printable(text: str) -> str:
    """`text` without what a terminal would obey, a line feed or tab aside."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in "\n\t" else ascii(char)[1:-1] for char in text)
