"""One value of the settings by section and key, as the file names them: for I/O managers, which see no settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from snqd.config.problems import did_you_mean, nearest
from snqd.config.schema import APP, GROUP, HANDLER, HANDLERS, KINDS, QUEUE, SNQD
from snqd.config.settings import Settings
from snqd.core.errors import SnqdError
from snqd.core.retry import RetryPolicy


class UnknownKey(SnqdError):
    """The configuration has no such section or key."""


def value_of(settings: Settings, section: str, key: str) -> Any:
    """The value of ``[section] key`` as the settings have it: durations in seconds, sizes in bytes, paths absolute; the
    default where no file sets it.

    Of ``[app:NAME]``, ``[handlers]`` and a handler's own options: the text, None where no file sets it.

    :raises UnknownKey: also for ``[sites]`` and ``[site:NAME]``, whose values each site tells itself.
    """
    name, _, label = section.partition(":")
    if name not in _VALUES or bool(label) is not bool(KINDS[name].label):
        raise UnknownKey(f"there is no section [{section}] to read{did_you_mean(nearest(name, _VALUES))}")
    values = _VALUES[name](settings, label)
    if values is None:
        raise UnknownKey(f"{settings.path} has no section [{section}]")
    kind = KINDS[name]
    if key not in kind.by_name and not kind.open:
        raise UnknownKey(f"section [{section}] has no key {key}{did_you_mean(nearest(key, kind.by_name))}")
    return values.get(key)


def _daemon(settings: Settings, label: str) -> Mapping[str, Any]:
    daemon = settings.daemon
    return {**_fields(daemon), "memory_limit": daemon.memory_limit_bytes}


def _queue(settings: Settings, label: str) -> Mapping[str, Any]:
    queue = settings.queue
    stomp = {f"stomp_{name}": value for name, value in _fields(queue.stomp).items()}
    return {**_fields(queue), **stomp, "stomp_server": queue.stomp.servers, **_retry(queue.retry)}


def _group(settings: Settings, label: str) -> Mapping[str, Any] | None:
    group = settings.groups.get(label)
    return None if group is None else _fields(group)


def _handlers(settings: Settings, label: str) -> Mapping[str, Any]:
    return {queue: handler.target for queue, handler in settings.handlers.items()}


def _handler(settings: Settings, label: str) -> Mapping[str, Any] | None:
    handler = settings.handlers.get(label)
    if handler is None:
        return None
    own = {**_fields(handler), **_retry(handler.retry)}
    return {**handler.options, **{key: own[key] for key in HANDLER.by_name}}


def _app(settings: Settings, label: str) -> Mapping[str, Any]:
    return settings.apps.get(label, {})


def _retry(policy: RetryPolicy) -> dict[str, Any]:
    return {"max_retries": policy.max_retries, "retry_delay": policy.delay, "retry_max_delay": policy.max_delay}


def _fields(record: Any) -> dict[str, Any]:
    return attrs.asdict(record, recurse=False)


_VALUES: Mapping[str, Callable[[Settings, str], Mapping[str, Any] | None]] = {
    SNQD.name: _daemon,
    QUEUE.name: _queue,
    GROUP.name: _group,
    HANDLERS.name: _handlers,
    HANDLER.name: _handler,
    APP.name: _app,
}
