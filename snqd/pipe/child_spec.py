"""ChildSpec: what a child is told at its birth, as one JSON document on its standard input."""

from __future__ import annotations

import json
from collections.abc import Collection

import attrs

NORMAL = "normal"
EXCLUSIVE = "exclusive"
"""The only child of its group: it also runs suspects, alone."""
SOLO = "solo"
"""Runs nothing but suspects, one at a time."""
STANDBY = "standby"
"""The state of a child that has come up and does nothing: another process, of this daemon or of another, goes first."""
YOUNG = 5.0
"""Seconds after its readiness by which a child should have settled a job."""


def _names(names: Collection[str]) -> tuple[str, ...]:
    return tuple(names)


def is_first(n: int) -> bool:
    """Whether managers of which a group has but one run in its place `n`."""
    return n == 1


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
    :ivar start: the main file as it was when the daemon started, where it has changed: some keys hold until its end.
    :ivar standby: whether the child waits for a hand-over before it starts what the daemon must not have twice.
    :ivar gone: incarnations that were in this place before and are dead for certain.
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
    start: str = ""
    standby: bool = False
    gone: tuple[str, ...] = attrs.field(default=(), converter=_names)
    log_levels: dict[str, str] = attrs.field(factory=dict)

    @property
    def first(self) -> bool:
        """Whether managers of which its group has but one run in this child."""
        return is_first(self.n)

    def to_json(self) -> bytes:
        """The document."""
        return json.dumps(attrs.asdict(self)).encode()

    @classmethod
    def from_json(cls, document: bytes) -> ChildSpec:
        """What `to_json` wrote, of this version or, as far as it is understood, of another."""
        known = json.loads(document)
        fields = attrs.fields(cls)
        required = {field.name: "" for field in fields if field.default is attrs.NOTHING}
        return cls(**{**required, **{field.name: known[field.name] for field in fields if field.name in known}})


def child_id(daemon_id: str, group: str, n: int) -> str:
    """The id of the child in place `n` of `group`."""
    return f"{daemon_id}.{group}.{n or SOLO}"


def daemon_of(incarnation: str, group: str) -> str:
    """The id of the daemon that started the process called `incarnation` in `group`."""
    return incarnation.rpartition("-")[0].rpartition(".")[0].removesuffix(f".{group}")


def group_of(incarnation: str, groups: list[str]) -> str | None:
    """Which of `groups` a process called `incarnation` belonged to; None if it is none of them."""
    place = incarnation.rpartition("-")[0].rpartition(".")[0]
    fitting = [group for group in groups if place.endswith(f".{group}")]
    return max(fitting, key=len, default=None)
