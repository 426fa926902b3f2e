"""Parts: what a child is put together from, and the shape of the function that does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from snqd.config.settings import Settings
from snqd.core.counters import Counters
from snqd.daemon.child_spec import ChildSpec
from snqd.io.io_master import IoMaster


@attrs.frozen
class Parts:
    """A child that is assembled and not started yet.

    :ivar counters: taken with every heartbeat.
    :ivar recover: frees in the store what the dead process `owner` held, given (owner, suspects, cause); fires with the
        number of jobs once that is durable. Not called before the IoMaster is up.
    :ivar wake: looks for work now.
    """

    io_master: IoMaster
    counters: Counters
    recover: Callable[[str, Sequence[str], str], Deferred[int]]
    wake: Callable[[], Any]


Builder = Callable[[Any, Settings, ChildSpec], Parts]
"""Called with the reactor, the settings and the child's spec; what it raises is a boot failure."""
