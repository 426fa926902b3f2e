"""Management: what RabbitMQ's management API says of a virtual host's queues and policies; for ``snqctl check``."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import Request, urlopen

import attrs

from snqd.core.errors import ConfigError
from snqd.stomp.login import Login
from snqd.stores.stomp.dialects import has_default_limit

TIMEOUT = 10.0
"""Seconds that the API has for each answer."""
DEFAULT_LIMIT = 20
"""Deliveries that a quorum queue of RabbitMQ 4 allows where nothing else is said."""
QUORUM = "quorum"
_APPLIES_TO = {"classic": "classic_queues", QUORUM: "quorum_queues", "stream": "streams"}
LIMIT, TARGET = "delivery-limit", "dead-letter-exchange"


@attrs.frozen
class Rules:
    """What holds for one queue, whether it is there yet or not.

    :ivar limit: deliveries that it allows; None for any number.
    :ivar is_dead_lettered: whether what it drops goes anywhere.
    :ivar policy: the name of its policy, empty for none.
    :ivar definition: that of its policy.
    :ivar hidden: the definitions of further policies that match it and do not hold, since only one does.
    """

    type: str
    limit: int | None
    is_dead_lettered: bool
    policy: str = ""
    definition: Mapping[str, Any] = attrs.field(factory=dict)
    hidden: Sequence[Mapping[str, Any]] = ()


@attrs.frozen
class VirtualHost:
    """A virtual host, as the API tells of it.

    :ivar version: of the broker.
    :ivar default_type: of a queue whose declaration names none.
    :ivar queues: those that are there, by name.
    """

    version: str
    default_type: str
    queues: Mapping[str, Mapping[str, Any]]
    policies: Sequence[Mapping[str, Any]]
    operator_policies: Sequence[Mapping[str, Any]]

    def rules(self, name: str) -> Rules:
        """What holds for the queue of that name; for one that is not there yet, what would."""
        queue = self.queues.get(name, {})
        arguments = queue.get("arguments") or {}
        kind = str(queue.get("type") or self.default_type)
        matching = _matching(self.policies, name, kind)
        policy = matching[0] if matching else {}
        operator = next(iter(_matching(self.operator_policies, name, kind)), {})
        definitions = [policy.get("definition", {}), operator.get("definition", {})]
        limits = [each[LIMIT] for each in definitions if LIMIT in each]
        limits += [arguments[f"x-{LIMIT}"]] if f"x-{LIMIT}" in arguments else []
        return Rules(
            kind,
            self._limit(kind, limits),
            f"x-{TARGET}" in arguments or TARGET in definitions[0],
            str(policy.get("name", "")),
            definitions[0],
            [each["definition"] for each in matching[1:]],
        )

    def _limit(self, kind: str, limits: Sequence[int]) -> int | None:
        if kind != QUORUM:
            return None
        if limits:
            least = min(limits)
            return None if least < 0 else least
        return DEFAULT_LIMIT if has_default_limit(self.version) else None


def look(url: str, login: Login) -> VirtualHost:
    """Ask the API.

    :param url: with user and password, or without: then those of `login` are used.
    :raises ConfigError: if it can't be asked.
    """
    vhost = quote(login.host, "")
    version = _get(url, login, "overview")["rabbitmq_version"]
    return VirtualHost(
        version,
        _named(_get(url, login, f"vhosts/{vhost}").get("default_queue_type")),
        {queue["name"]: queue for queue in _get(url, login, f"queues/{vhost}?disable_stats=true")},
        _get(url, login, f"policies/{vhost}"),
        _get(url, login, f"operator-policies/{vhost}"),
    )


def _named(queue_type: object) -> str:
    return queue_type if isinstance(queue_type, str) and queue_type in _APPLIES_TO else "classic"


def _matching(policies: Sequence[Mapping[str, Any]], name: str, kind: str) -> list[Mapping[str, Any]]:
    """Those that match the queue: the one that holds comes first."""
    fitting = {"all", "queues", _APPLIES_TO.get(kind, "")}
    found = [each for each in policies if each.get("apply-to", "all") in fitting and re.search(each["pattern"], name)]
    return sorted(found, key=lambda each: -int(each.get("priority", 0)))


def _get(url: str, login: Login, path: str) -> Any:
    parts = urlsplit(url)
    user, password = login.username, login.password
    if parts.username:
        user, password = unquote(parts.username), unquote(parts.password or "")
    place = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], f"{parts.path.rstrip('/')}/api/{path}", "", ""))
    token = b64encode(f"{user}:{password}".encode()).decode()
    try:
        with urlopen(Request(place, headers={"Authorization": f"Basic {token}"}), timeout=TIMEOUT) as answer:
            return json.load(answer)
    except HTTPError as error:
        raise _problem(place, f"{error.code} {error.reason}") from error
    except URLError as error:
        raise _problem(place, str(error.reason)) from error
    except (OSError, ValueError) as error:
        raise _problem(place, str(error)) from error


def _problem(place: str, why: str) -> ConfigError:
    return ConfigError(
        [
            f"[queue] stomp_management: {place} can't be asked ({why}): correct the URL; it wants a user "
            "with the tag policymaker"
        ]
    )
