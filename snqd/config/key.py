"""Key: everything about one key of the configuration, declared as a field of its section's record.

Reading, checking, suggestions, what ``snqctl update`` answers, the test of etc/snq.ini and the table in
docs/operations.rst derive from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, TypeVar, overload

import attrs

from snqd.config.values import Reader

T = TypeVar("T")
_KEY = "snqd key"
"""Where a field's metadata have its Key."""


class TakesEffect(Enum):
    """When a changed key takes effect; the value is its name in the answer of ``update``."""

    AT_ONCE = "now"
    IN_FRESH_CHILDREN = "after_restart"
    IN_A_FRESH_DAEMON = "after_stop_and_start"

    @property
    def words(self) -> str:
        """The same for people."""
        return _WORDS[self]


_WORDS = {
    TakesEffect.AT_ONCE: "at once",
    TakesEffect.IN_FRESH_CHILDREN: "after snqctl restart",
    TakesEffect.IN_A_FRESH_DAEMON: "after the daemon's stop and start",
}


class PerSite(Enum):
    """Whether a site may set a key for itself, as ``SECTION.KEY`` or ``handler:QUEUE.KEY`` of its ``[site:NAME]``."""

    NO = "no"
    YES = "yes"
    UP_TO_THE_DAEMONS = "up to the daemon's value"


@attrs.frozen
class Key:
    """One key.

    :ivar default: as an operator would write it; empty where it is nothing, or comes from elsewhere, as `doc` says.
    :ivar read: reads a value that is not empty.
    :ivar empty: the value where neither a value nor a default is given.
    :ivar inherited: whether the loader then fills in the value that ``[queue]`` has of the same name.
    """

    name: str
    default: str
    read: Reader
    doc: str
    takes_effect: TakesEffect
    per_site: PerSite = PerSite.NO
    empty: Any = None
    inherited: bool = False

    def read_default(self) -> Any:
        """The value where the operator writes none."""
        return self.read(self.default) if self.default else self.empty

    def of_site(self, section: str) -> Key:
        """The same key of `section` as a site writes it, where the daemon's value is the default."""
        return attrs.evolve(self, name=f"{section}.{self.name}", default="", doc=f"as in [{section}]", empty=None)


@attrs.frozen(kw_only=True)
class SectionKeys:
    """What one section says: each key is a field of its name. Frozen; :mod:`snqd.config.load` makes them.

    :ivar written: the values as the section itself says them, defaults included: before paths are put in their place,
        and before other sections fill in what is empty here. :mod:`snqd.config.config_diff` compares them.
    """

    written: Mapping[str, Any] = attrs.field(factory=dict, eq=False, repr=False)


@attrs.frozen
class SectionKind:
    """``[name]``, or the sections ``[name:LABEL]``.

    :ivar label: what stands for the label in documentation; empty for a section without one.
    :ivar keys: the keys it knows.
    :ivar open: whether it takes any other key too; such a key takes effect at once.
    """

    name: str
    doc: str
    label: str = ""
    keys: tuple[Key, ...] = ()
    open: bool = False
    by_name: Mapping[str, Key] = attrs.field(init=False)
    defaults: Mapping[str, Any] = attrs.field(init=False)

    @by_name.default
    def _index(self) -> Mapping[str, Key]:
        return {key.name: key for key in self.keys}

    @defaults.default
    def _read_defaults(self) -> Mapping[str, Any]:
        return {key.name: key.read_default() for key in self.keys}

    @property
    def title(self) -> str:
        """How documentation writes the section's name."""
        return f"{self.name}:{self.label}" if self.label else self.name

    def takes_effect(self, name: str) -> TakesEffect:
        """When the key `name` does, be it one that the section knows or a free one."""
        return self.by_name[name].takes_effect if name in self.by_name else TakesEffect.AT_ONCE


def key(
    default: str,
    read: Callable[[str], T],
    doc: str,
    takes_effect: TakesEffect,
    per_site: PerSite = PerSite.NO,
) -> T:
    """Declare a key that has a default."""
    assert default, "a key without a default is an optional_key"
    declared: T = _field(Key("", default, read, doc, takes_effect, per_site))
    return declared


@overload
def optional_key(
    read: Callable[[str], T],
    doc: str,
    takes_effect: TakesEffect,
    per_site: PerSite = ...,
    *,
    secret: bool = ...,
) -> T | None: ...
@overload
def optional_key(
    read: Callable[[str], T],
    doc: str,
    takes_effect: TakesEffect,
    per_site: PerSite = ...,
    *,
    empty: T,
    secret: bool = ...,
) -> T: ...
def optional_key(
    read: Callable[[str], Any],
    doc: str,
    takes_effect: TakesEffect,
    per_site: PerSite = PerSite.NO,
    *,
    empty: Any = None,
    secret: bool = False,
) -> Any:
    """Declare a key whose default is no value.

    :param empty: what stands for no value.
    :param secret: keep the value out of the record's repr.
    """
    return _field(Key("", "", read, doc, takes_effect, per_site, empty), repr=not secret)


def filled_key(
    default: str,
    read: Callable[[str], T | None],
    doc: str,
    takes_effect: TakesEffect,
    per_site: PerSite = PerSite.NO,
) -> T:
    """Declare a key where no value, or a word such as ``auto``, is read as None, and the loader fills in another."""
    declared: T = _field(Key("", default, read, doc, takes_effect, per_site), default=attrs.NOTHING)
    return declared


def inherited_key(wider: Key, per_site: PerSite) -> Any:
    """Declare a key whose default is the value of `wider` in ``[queue]``, which the loader fills in."""
    doc = "as in [queue], which holds where it is empty"
    declared = attrs.evolve(wider, default="", doc=doc, per_site=per_site, inherited=True)
    return _field(declared, default=wider.read_default())


def _field(declared: Key, **options: Any) -> Any:
    return attrs.field(**{"default": declared.read_default(), "metadata": {_KEY: declared}, **options})


def keys_of(record: type[attrs.AttrsInstance]) -> tuple[Key, ...]:
    """The keys that the fields of `record` declare."""
    declared = ((field.name, field.metadata.get(_KEY)) for field in attrs.fields(record))
    return tuple(attrs.evolve(key, name=name) for name, key in declared if key is not None)
