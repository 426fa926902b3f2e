"""``[group:NAME]`` to GroupSettings: every queue that has a handler in exactly one group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from snqd.config.daemon_sections import Overrides
from snqd.config.document import Document, read_values
from snqd.config.handler_sections import Handlers
from snqd.config.ini import Section
from snqd.config.problems import Problems, did_you_mean, nearest
from snqd.config.schema import GROUP, QUEUE
from snqd.config.settings import DaemonSettings, GroupSettings, QueueSettings
from snqd.config.values import group_of_breakout

MAIN = "main"


def read_groups(
    document: Document, handlers: Handlers, daemon: DaemonSettings, overrides: Overrides, problems: Problems
) -> dict[str, GroupSettings]:
    """All groups, `main` first; its children are ``--threads``, else its own, else ``[snqd] threads``."""
    sections = document.labelled(GROUP)
    main = sections.get(MAIN) or Section(document.main_file, f"group:{MAIN}")
    claims = _Claims(handlers, problems)
    others = [
        _other(name, section, read_values(GROUP, section, problems), claims)
        for name, section in sections.items()
        if name != MAIN
    ]
    groups = [_main(main, read_values(GROUP, main, problems), overrides.threads, daemon.threads, claims), *others]
    for group in groups:
        _check_exclusive(group, sections.get(group.name, main), problems)
    if not any(group.children for group in groups) and not problems.concern(main):
        problems.at(main, "children", "no group has any: give one of them children, or there is nothing to run")
    return {group.name: group for group in groups}


def check_breakouts(
    document: Document,
    settings: QueueSettings,
    groups: Mapping[str, GroupSettings],
    handlers: Handlers,
    problems: Problems,
) -> None:
    """Refuse ``[queue] breakout`` of a queue that nobody handles, or that is not of the group that it names."""
    section = document.one(QUEUE)
    of_queue = {queue: group.name for group in groups.values() for queue in group.queues}
    for (queue, _), name in settings.breakout.items():
        group = group_of_breakout(name)
        if group not in groups:
            near = did_you_mean(nearest(group, groups))
            problems.at(
                section, "breakout", f"{name}: there is no group {group}{near}: name one of {', '.join(groups)}"
            )
        elif missing := handlers.missing(queue):
            problems.at(section, "breakout", f"{name}: {missing}: add [handlers] {queue} or remove it here")
        elif queue in handlers.off:
            problems.at(section, "breakout", f"{name}: [handlers] switches {queue} off: remove it here, or there")
        elif of_queue.get(queue, group) != group:
            right = name.replace(group, of_queue[queue], 1)
            problems.at(section, "breakout", f"{name}: queue {queue} is of group {of_queue[queue]}: write {right}")


@attrs.frozen
class _Claims:
    """Who serves which queue so far."""

    handlers: Handlers
    problems: Problems
    _taken: dict[str, Section] = attrs.field(factory=dict)

    def take(self, section: Section, queues: tuple[str, ...]) -> tuple[str, ...]:
        for queue in queues:
            if queue in self._taken:
                first = self._taken[queue]
                at = f"[{first.name}] in {first.file}:{first.entries['queues'].line}"
                self.problems.at(section, "queues", f"{queue} belongs to {at} already: remove it from one of the two")
            elif missing := self.handlers.missing(queue):
                self.problems.at(section, "queues", f"{missing}: add [handlers] {queue} or remove it here")
            elif queue in self.handlers.off:
                self.problems.at(section, "queues", f"[handlers] switches {queue} off: remove it here, or there")
            self._taken.setdefault(queue, section)
        return queues

    def rest(self, main: Section, wanted: tuple[str, ...] | None) -> tuple[str, ...]:
        """The queues of main: `wanted`, which then must be all that are left, or just those."""
        if not wanted:
            return tuple(queue for queue in self.handlers.on if queue not in self._taken)
        self.take(main, wanted)
        left = [queue for queue in self.handlers.on if queue not in self._taken]
        if left:
            self.problems.at(main, "queues", f"no group serves {', '.join(left)}: add them, or leave the key empty")
        return wanted


def _main(
    section: Section, written: Mapping[str, Any], forced: int | None, threads: int, claims: _Claims
) -> GroupSettings:
    children = forced or _or_default(written["children"], threads)
    queues = claims.rest(section, written["queues"])
    return _group(MAIN, written, children, queues)


def _other(name: str, section: Section, written: Mapping[str, Any], claims: _Claims) -> GroupSettings:
    if not written["queues"] and not claims.problems.concern(section):
        claims.problems.at(section, "queues", "is empty: list the queues that the group serves, or remove the section")
    queues = claims.take(section, written["queues"] or ())
    return _group(name, written, _or_default(written["children"], 1), queues)


def _group(name: str, written: Mapping[str, Any], children: int, queues: tuple[str, ...]) -> GroupSettings:
    return GroupSettings(name, written=written, **{**written, "children": children, "queues": queues})


def _or_default(children: int | None, default: int) -> int:
    return default if children is None else children


def _check_exclusive(group: GroupSettings, section: Section, problems: Problems) -> None:
    if group.exclusive and group.children != 1:
        problems.at(
            section,
            "exclusive",
            f"the group has {group.children} children, an exclusive one has one: set children = 1, or exclusive = no",
        )
