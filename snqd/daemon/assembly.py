"""Assembly: the one place that knows every part of a child, and puts them together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed

from snqd.config.settings import Settings
from snqd.core.counters import Counters
from snqd.daemon.child_spec import SOLO, ChildSpec
from snqd.daemon.parts import Parts
from snqd.io.entry_points import third_party_managers
from snqd.io.interface import IoContext
from snqd.io.io_master import IoMaster
from snqd.sites.registry import SiteRegistry


def build(reactor: Any, settings: Settings, spec: ChildSpec) -> Parts:
    """Put a child's I/O managers together: those that installed packages bring, none of them in a solo child.

    :raises SnqdError: a boot failure, whose text says what to do.
    """
    sites = SiteRegistry(settings)
    context = IoContext(reactor, settings, sites)
    managers = [] if spec.role == SOLO else third_party_managers(context, list(sites.nicknames()), spec.single)
    return Parts(IoMaster(reactor, managers), Counters(), _nothing_held, lambda: None)


def _nothing_held(owner: str, suspects: Sequence[str], cause: str) -> Deferred[int]:
    return succeed(0)
