"""IoContext: all that an I/O manager may use of the child that it runs in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from snqd.config.lookup import value_of
from snqd.config.settings import Settings
from snqd.io.enqueuer import Enqueuer
from snqd.io.reports import ManagerReports
from snqd.io.threads import ManagerThreads, Threads
from snqd.sites.registry import SiteRegistry


@attrs.frozen
class ChildServices:
    """What a child gives to the I/O managers of installed packages.

    :ivar settings: gives those in force.
    :ivar reports: where the managers' figures are kept.
    :ivar make_threads: makes the threads of one manager, given the reactor and its name.
    """

    reactor: Any
    settings: Callable[[], Settings]
    sites: SiteRegistry
    enqueuer: Enqueuer
    reports: ManagerReports
    make_threads: Callable[[Any, str], Threads] = ManagerThreads


class IoContext:
    """What a factory of the entry point group ``snqd.io_managers`` gets.

    :ivar name: the manager's, for the log and ``status``: the entry point's, and behind a colon the site's where each
        site has a manager of its own.
    :ivar reactor: Twisted's, of this process.
    :ivar sites: the sites in force: ``nicknames()``, ``nickname in sites``, and ``get(nickname)``, a
        :class:`~snqd.sites.site.Site` with `nickname`, `server`, `name` and ``config(app, key, default=None)``.
    :ivar site: the nickname of the site to serve, for scope `INSTANCE_PER_SITE`; None otherwise.
    """

    def __init__(self, services: ChildServices, name: str, site: str | None = None) -> None:
        self._services = services
        self.name = name
        self._threads = services.make_threads(services.reactor, name)
        self.reactor = services.reactor
        self.sites = services.sites
        self.site = site

    @property
    def state_dir(self) -> Path:
        """``[snqd] state_dir``, which all managers of the daemon share; it survives restarts."""
        return self._services.settings().daemon.state_dir

    def config(self, section: str, key: str) -> Any:
        """The value of ``[section] key`` in force now; ask again rather than keep it, since it changes with a reload.

        :returns: typed, as docs/operations.rst has it: durations in seconds; of ``[app:NAME]`` the text, or None.
        :raises SnqdError: if there is no such section or key. Settings of one site are in `sites`.
        """
        return value_of(self._services.settings(), section, key)

    def enqueue(self, site: str, queue: str, payload: Any, delay: float = 0, id: str | None = None) -> Deferred[str]:
        """Put a job on `queue` of `site`.

        :param payload: anything that JSON can carry.
        :param delay: seconds before it may run.
        :param id: ASCII letters, digits, ``.`` and ``-``, at most 64; give one that derives from the job's source where
            the same job may come again, so that a handler can recognise it. A new one by default.
        :returns: fires with the id once the job is durable. Fails with a StoreError where the store does not take it
            for now (try again, with the same `id`), and with another SnqdError, ValueError or TypeError, which says
            why, where this job can't be accepted.
        """
        return self._services.enqueuer.enqueue(site, queue, payload, delay, id)

    def report(self, figures: Mapping[str, Any]) -> None:
        """Show `figures` in ``snqctl status`` until the next report or the manager's end.

        :raises BadReport: if they are no JSON object, or more than
            :data:`~snqd.io.reports.MAX_REPORT_BYTES`; those before stay.
        """
        self._services.reports.put(self.name, figures)

    def in_thread(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Call blocking code in a thread; fires with what it returns, or fails with what it raises.

        At most :data:`~snqd.io.threads.MAX_THREADS` calls of a manager run at once; others wait for their turn.
        """
        return self._threads.call(function, *args)

    def when_idle(self) -> Deferred[None]:
        """Fires when no call of `in_thread` is under way; for the master, before it stops the manager."""
        return self._threads.when_idle()

    def close(self) -> None:
        """End the threads and drop the report; called by the master once the manager has stopped."""
        self._threads.close()
        self._services.reports.drop(self.name)
