"""Changes: what a new configuration says differently, and what of that has to wait for a restart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import attrs

from snqd.config.daemon_sections import PLACED
from snqd.config.key import Key, SectionKeys, SectionKind, TakesEffect
from snqd.config.schema import APP, GROUP, HANDLER, HANDLERS, QUEUE, SITES, SNQD
from snqd.config.settings import DaemonSettings, GroupSettings, HandlerSettings, QueueSettings, Settings, SiteSettings

Record = TypeVar("Record", bound=SectionKeys)

NAMES_SHOWN = 8
"""Sites that a line in the log names."""


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

    :ivar keys: ``[section] key`` as the operator writes it, ``[group:NAME]`` for a group that came or went, and when it
        takes effect; sites left out.
    :ivar children: ids of children that had another configuration than the daemon, and go over to its own.
    """

    keys: Mapping[str, TakesEffect] = attrs.field(factory=dict)
    sites: SiteChanges = attrs.field(factory=SiteChanges)
    children: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.keys or self.sites or self.children)

    def __str__(self) -> str:
        """For the log."""
        keys = [
            f"{', '.join(names)} ({effect.words})" for effect in TakesEffect if (names := self.that_take_effect(effect))
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
            **{effect.value: self.that_take_effect(effect) for effect in TakesEffect},
            "children": list(self.children),
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
    return attrs.evolve(new, daemon=_keep(SNQD, new.daemon, daemon), queue=_keep(QUEUE, new.queue, queue))


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
    return attrs.evolve(_keep(GROUP, new, old), children=1 if old.exclusive else new.children)


def _keep(kind: SectionKind, new: Record, old: Record) -> Record:
    kept = [key.name for key in kind.keys if _waits(key, new, old)]
    values = {name: getattr(old, name) for name in kept}
    return attrs.evolve(new, written={**new.written, **{name: old.written[name] for name in kept}}, **values)


def _waits(key: Key, new: SectionKeys, old: SectionKeys) -> bool:
    # A path that nobody changed stays where it is, though the state_dir at its beginning is another one.
    unchanged_path = key.read in PLACED and new.written[key.name] == old.written[key.name]
    return key.takes_effect is TakesEffect.IN_A_FRESH_DAEMON or unchanged_path


def _changed_keys(old: Settings, new: Settings) -> Iterator[tuple[str, TakesEffect]]:
    yield from _changed(SNQD, "", old.daemon, new.daemon)
    yield from _changed(QUEUE, "", old.queue, new.queue)
    yield from _changed_groups(old.groups, new.groups)
    yield from _changed_handlers(old.handlers, new.handlers)
    yield from _changed(SITES, "", old.sites_from, new.sites_from)
    for name in {**old.apps, **new.apps}:
        app = old.apps.get(name, {}), new.apps.get(name, {})
        yield from ((f"[app:{name}] {key}", APP.takes_effect(key)) for key in _unequal(*app))


def _changed(kind: SectionKind, label: str, old: SectionKeys, new: SectionKeys) -> Iterator[tuple[str, TakesEffect]]:
    """The keys of one section that are written differently, unless that comes to the same.

    So a key is named where it was changed, and not where another one's default comes from it.
    """
    title = f"{kind.name}:{label}" if label else kind.name
    for name in _unequal(old.written, new.written):
        if name not in kind.by_name or getattr(old, name) != getattr(new, name):
            yield f"[{title}] {name}", kind.takes_effect(name)


def _unequal(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [name for name in {**old, **new} if old.get(name) != new.get(name)]


def _changed_groups(
    old: Mapping[str, GroupSettings], new: Mapping[str, GroupSettings]
) -> Iterator[tuple[str, TakesEffect]]:
    for name in {**old, **new}:
        if name in old and name in new:
            yield from _changed(GROUP, name, old[name], new[name])
        else:
            yield f"[group:{name}]", TakesEffect.AT_ONCE


def _changed_handlers(
    old: Mapping[str, HandlerSettings], new: Mapping[str, HandlerSettings]
) -> Iterator[tuple[str, TakesEffect]]:
    for name in {**old, **new}:
        if name not in old or name not in new:
            yield f"[handlers] {name}", HANDLERS.takes_effect(name)
            continue
        if old[name].target != new[name].target:
            yield f"[handlers] {name}", HANDLERS.takes_effect(name)
        yield from _changed(HANDLER, name, old[name], new[name])
