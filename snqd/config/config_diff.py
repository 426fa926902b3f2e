"""Changes: what a new configuration says differently, and what of that has to wait for a restart."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

import attrs

from snqd.config.settings import DaemonSettings, GroupSettings, HandlerSettings, QueueSettings, Settings, SiteSettings

NAMES_SHOWN = 8
"""Sites that a line in the log names."""


class TakesEffect(Enum):
    """When a changed key holds."""

    AT_ONCE = "at once"
    IN_FRESH_CHILDREN = "after snqctl restart"
    IN_A_FRESH_DAEMON = "after the daemon's stop and start"


# What is not named here takes a fresh daemon: parent, children and programs that enqueue must agree on it.
_DAEMON = {
    "threads": TakesEffect.AT_ONCE,
    "drain_timeout": TakesEffect.AT_ONCE,
    "hang_timeout": TakesEffect.AT_ONCE,
    "respawn_max_delay": TakesEffect.AT_ONCE,
    "memory_limit_bytes": TakesEffect.AT_ONCE,
}
_QUEUE = {
    "spawndelay": TakesEffect.AT_ONCE,
    "softlimit": TakesEffect.AT_ONCE,
    "debug_memory": TakesEffect.AT_ONCE,
    "monitor": TakesEffect.AT_ONCE,
    "concurrency": TakesEffect.AT_ONCE,
    "timeout": TakesEffect.AT_ONCE,
    "retry": TakesEffect.AT_ONCE,
    "breakout": TakesEffect.AT_ONCE,
    "wire": TakesEffect.IN_FRESH_CHILDREN,
    "lease": TakesEffect.IN_FRESH_CHILDREN,
    "dead_letter_dir": TakesEffect.IN_FRESH_CHILDREN,
    "control_channel": TakesEffect.IN_FRESH_CHILDREN,
    "control_key_file": TakesEffect.IN_FRESH_CHILDREN,
    "control_unsigned": TakesEffect.IN_FRESH_CHILDREN,
    "foreign_claim_age": TakesEffect.IN_FRESH_CHILDREN,
}
_RETRY_KEYS = {"max_retries": "max_retries", "delay": "retry_delay", "max_delay": "retry_max_delay"}


@attrs.frozen
class SiteChanges:
    """Nicknames of sites, sorted."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


@attrs.frozen(str=False)
class Changes:
    """The difference between two configurations.

    :ivar keys: ``[section] key``, or ``[section]`` for a whole one, and when it holds; sites left out.
    """

    keys: Mapping[str, TakesEffect] = attrs.field(factory=dict)
    sites: SiteChanges = attrs.field(factory=SiteChanges)

    def __bool__(self) -> bool:
        return bool(self.keys or self.sites)

    def __str__(self) -> str:
        """For the log."""
        keys = [
            f"{', '.join(names)} ({effect.value})" for effect in TakesEffect if (names := self.that_take_effect(effect))
        ]
        sites = [f"sites {what}: {_few(names)}" for what, names in attrs.asdict(self.sites).items() if names]
        return "; ".join([*keys, *sites]) or "nothing"

    def that_take_effect(self, when: TakesEffect) -> list[str]:
        """The keys that hold then."""
        return [key for key, effect in self.keys.items() if effect is when]

    def as_json(self) -> dict[str, Any]:
        """The same as an answer of the control socket."""
        return {
            "changed": bool(self),
            "now": self.that_take_effect(TakesEffect.AT_ONCE),
            "after_restart": self.that_take_effect(TakesEffect.IN_FRESH_CHILDREN),
            "after_stop_and_start": self.that_take_effect(TakesEffect.IN_A_FRESH_DAEMON),
            "sites": {name: list(sites) for name, sites in attrs.asdict(self.sites, recurse=False).items()},
        }


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more


def compare(old: Settings, new: Settings) -> Changes:
    """What `new` says differently from `old`."""
    keys = dict(_changed_keys(old, new))
    return Changes(keys, compare_sites(old, new))


def compare_sites(old: Settings, new: Settings) -> SiteChanges:
    """Which sites `new` adds, changes and removes."""
    if old.sites is new.sites:
        return SiteChanges()
    return SiteChanges(
        added=tuple(sorted(new.sites.keys() - old.sites.keys())),
        changed=tuple(sorted(name for name, site in new.sites.items() if _changed_site(old.sites.get(name), site))),
        removed=tuple(sorted(old.sites.keys() - new.sites.keys())),
    )


def _changed_site(old: SiteSettings | None, new: SiteSettings) -> bool:
    # Of ten thousand sites most are the very same record, which is quicker to see than that they are equal.
    return old is not None and old is not new and old != new


def keep_restart_only(new: Settings, daemon: DaemonSettings, queue: QueueSettings) -> Settings:
    """`new`, but for what takes a fresh daemon: that stays as in `daemon` and `queue`."""
    return attrs.evolve(new, daemon=_keep(new.daemon, daemon, _DAEMON), queue=_keep(new.queue, queue, _QUEUE))


def keep_restart_only_groups(new: Settings, old: Settings) -> Settings:
    """`new`, but groups that `old` has too stay exclusive, or not: that takes a fresh daemon."""
    groups = {
        name: _keep_exclusive(group, old.groups[name]) if name in old.groups else group
        for name, group in new.groups.items()
    }
    return attrs.evolve(new, groups=groups)


def _keep_exclusive(new: GroupSettings, old: GroupSettings) -> GroupSettings:
    if new.exclusive is old.exclusive:
        return new
    return attrs.evolve(new, exclusive=old.exclusive, children=1 if old.exclusive else new.children)


def _keep(new: Any, old: Any, effects: Mapping[str, TakesEffect]) -> Any:
    kept = {name: getattr(old, name) for name in _fields(new) if name not in effects}
    return attrs.evolve(new, **kept)


def _fields(record: Any) -> list[str]:
    return [field.name for field in attrs.fields(type(record))]


def _differing(old: Any, new: Any) -> Iterator[str]:
    return (name for name in _fields(new) if getattr(old, name) != getattr(new, name))


def _changed_keys(old: Settings, new: Settings) -> Iterator[tuple[str, TakesEffect]]:
    fresh_daemon = TakesEffect.IN_A_FRESH_DAEMON
    yield from ((f"[snqd] {name}", _DAEMON.get(name, fresh_daemon)) for name in _differing(old.daemon, new.daemon))
    for name in _differing(old.queue, new.queue):
        if name == "retry":
            yield from _at_once("queue", (_RETRY_KEYS[key] for key in _differing(old.queue.retry, new.queue.retry)))
        else:
            yield f"[queue] {name}", _QUEUE.get(name, fresh_daemon)
    yield from _changed_groups(old.groups, new.groups)
    yield from _changed_handlers(old.handlers, new.handlers)
    yield from _at_once_sections("app", _unequal(old.apps, new.apps))


def _at_once(section: str, keys: Iterator[str]) -> Iterator[tuple[str, TakesEffect]]:
    return ((f"[{section}] {key}", TakesEffect.AT_ONCE) for key in keys)


def _at_once_sections(kind: str, labels: Collection[str]) -> Iterator[tuple[str, TakesEffect]]:
    return ((f"[{kind}:{label}]", TakesEffect.AT_ONCE) for label in labels)


def _unequal(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [name for name in {**old, **new} if old.get(name) != new.get(name)]


def _changed_groups(
    old: Mapping[str, GroupSettings], new: Mapping[str, GroupSettings]
) -> Iterator[tuple[str, TakesEffect]]:
    for name in _unequal(old, new):
        if name not in old or name not in new:
            yield f"[group:{name}]", TakesEffect.AT_ONCE
            continue
        for key in _differing(old[name], new[name]):
            effect = TakesEffect.IN_A_FRESH_DAEMON if key == "exclusive" else TakesEffect.AT_ONCE
            yield f"[group:{name}] {key}", effect


def _changed_handlers(
    old: Mapping[str, HandlerSettings], new: Mapping[str, HandlerSettings]
) -> Iterator[tuple[str, TakesEffect]]:
    for name in _unequal(old, new):
        if name not in old or name not in new or old[name].target != new[name].target:
            yield f"[handlers] {name}", TakesEffect.AT_ONCE
        elif attrs.evolve(old[name], where="", own=frozenset()) != attrs.evolve(new[name], where="", own=frozenset()):
            # A line that moved, or a default that is written out now, is no change.
            yield f"[handler:{name}]", TakesEffect.AT_ONCE
