"""Inspection: what a StompStore holds at one moment, for tests and for whoever looks into a running child."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from snqd.core.job import Job
from snqd.stores.stomp.consumer import Source
from snqd.stores.stomp.shared_state import Suspect


@attrs.frozen
class Inspection:
    """A copy: it stays as it is when the store goes on.

    :ivar waiting: the jobs that have come to this process and wait for a claim; suspects excepted.
    :ivar in_hand: the jobs that were claimed and are not settled.
    :ivar sources: the destinations that this process listens to; each changes with the store.
    :ivar epochs: the epochs of the connections on which jobs come, one for each broker; 0 while there is none.
    :ivar suspects: the suspects that are noted, by job id.
    """

    waiting: Sequence[Job]
    in_hand: Sequence[Job]
    sources: Sequence[Source]
    epochs: Sequence[int]
    suspects: Mapping[str, Suspect]
