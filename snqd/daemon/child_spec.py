"""ChildSpec: what a child is told at its birth, as one JSON document on its standard input."""

from __future__ import annotations

import json

import attrs

NORMAL = "normal"
EXCLUSIVE = "exclusive"
"""The only child of its group: it also runs suspects, alone."""
SOLO = "solo"
"""Runs nothing but suspects, one at a time."""


@attrs.frozen
class ChildSpec:
    """Who a child is and what it works by.

    :ivar version: the parent's.
    :ivar sources: the configuration as the parent read it (:meth:`snqd.config.sources.Sources.to_json`), so that
        a file that is being edited can't set parent and children apart.
    :ivar threads: ``--threads``, None where not given.
    :ivar daemon_id: ``--id``, None where not given.
    :ivar n: number within the group, from 1; 0 for the solo child.
    :ivar id: for the log, the status and the monitor; the same for every process in this place.
    :ivar incarnation: this process alone; names its crash ledger.
    :ivar role: `NORMAL`, `EXCLUSIVE` or `SOLO`.
    :ivar log_levels: what was set at run time, by namespace.
    """

    version: str
    sources: str
    threads: int | None
    daemon_id: str | None
    group: str
    n: int
    id: str
    incarnation: str
    role: str
    log_levels: dict[str, str] = attrs.field(factory=dict)

    @property
    def single(self) -> bool:
        """Whether managers of which the daemon has but one run in this child."""
        return self.group == "main" and self.n == 1

    def to_json(self) -> bytes:
        """The document."""
        return json.dumps(attrs.asdict(self)).encode()

    @classmethod
    def from_json(cls, document: bytes) -> ChildSpec:
        """What `to_json` wrote."""
        return cls(**json.loads(document))


def child_id(daemon_id: str, group: str, n: int) -> str:
    """The id of the child in place `n` of `group`."""
    return f"{daemon_id}.{group}.{n or SOLO}"


def group_of(incarnation: str, groups: list[str]) -> str | None:
    """Which of `groups` a process called `incarnation` belonged to; None if it is none of them."""
    place = incarnation.rpartition("-")[0].rpartition(".")[0]
    fitting = [group for group in groups if place.endswith(f".{group}")]
    return max(fitting, key=len, default=None)
