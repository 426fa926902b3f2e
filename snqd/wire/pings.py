"""Monitor pings as StatusNet writes them, byte for byte: one event each, as fields encoded like a form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import urlencode

Fields = Sequence[tuple[str, str]]


def counter_fields(counter: str, owners: Iterable[str]) -> Fields:
    """One event: `counter` went up by one.

    :param counter: enqueued, handled, requeued, error, deadletter, baditem, badhandler, switch, siteupdate or
        xmpp_process.
    :param owners: whom it counts for: ``queue:distrib``, ``site:example.org``, ``thread:host.1``, in that order.
    """
    return [("counter", counter), *((f"owners[{n}]", owner) for n, owner in enumerate(owners))]


def state_fields(thread_id: str, state: str, substate: str, ts: float) -> Fields:
    """A child changed its state.

    :param state: init, listening, queue, poll, idle, sleep or shutdown.
    :param ts: Unix seconds.
    """
    return [("thread_id", thread_id), ("state", state), ("substate", substate), ("ts", _php_float(ts))]


def encode(fields: Fields) -> bytes:
    """`fields` as PHP's http_build_query() writes them: UTF-8, percent-encoded, blanks as ``+``."""
    # PHP escapes the tilde too, which urlencode leaves.
    return urlencode(fields).replace("~", "%7E").encode()


def _php_float(number: float) -> str:
    """A number as PHP prints it with its default precision, 14 digits without trailing zeros."""
    return f"{number:.14G}"
