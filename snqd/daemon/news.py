"""DaemonNews: the one place where children, and the groups that they are in, tell what concerns the whole daemon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, ParamSpec

from twisted.logger import Logger

from snqd.daemon.child_process import ChildProcess
from snqd.daemon.child_slot import ChildSlot
from snqd.daemon.group import Group

P = ParamSpec("P")


class News(Generic[P]):
    """One kind of news: calling it tells all who have subscribed. One that fails keeps no other from it."""

    log = Logger()

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._subscribers: list[Callable[P, Any]] = []

    def subscribe(self, subscriber: Callable[P, Any]) -> None:
        """Let `subscriber` be called with this kind of news from now on, after those that came before it."""
        self._subscribers.append(subscriber)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        for subscriber in self._subscribers:
            try:
                subscriber(*args, **kwargs)
            except Exception:  # noqa: BLE001 - the others must hear of it, and whoever tells it goes on
                self.log.failure("news of the daemon: {kind} could not be acted on", kind=self._kind)


class DaemonNews:
    """Handed to the launcher and to the groups, which tell; :func:`snqd.tap.make_service` says who subscribes.

    :ivar heard: a message on the control channel: its bytes, and the listener that heard it.
    :ivar sites_missed: a child has jobs of sites that it does not know.
    :ivar counted: what a child has counted since its last report.
    :ivar child_up: a child takes requests from now on.
    :ivar child_reported: a child has a fresh report.
    :ivar end_wanted: a child asked for the end of the daemon; the reason.
    """

    def __init__(self) -> None:
        self.heard: News[[bytes, str]] = News("heard")
        self.sites_missed: News[[]] = News("sites missed")
        self.counted: News[[list[list[Any]]]] = News("counted")
        self.child_up: News[[ChildProcess]] = News("child up")
        self.child_reported: News[[Group, ChildSlot, ChildProcess]] = News("child reported")
        self.end_wanted: News[[str]] = News("end wanted")
