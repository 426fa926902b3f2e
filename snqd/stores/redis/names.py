"""What snqd's keys in Redis are called."""

from __future__ import annotations

from urllib.parse import quote


def prefix_of(queue_basename: str) -> str:
    """What every key of a farm begins with; the braces make Redis keep all of them together (a hash tag)."""
    return "{" + quote(queue_basename, safe="/.-_:") + "}:"


def wake_channel(prefix: str) -> str:
    """Where the scripts tell of something new to claim."""
    return prefix + "wake"


def renewed_key(prefix: str) -> str:
    """Under which the run_id of the Redis process lies whose append-only file was rewritten at its start."""
    return prefix + "renewed"


def place_of(queue: str | None, site: str | None) -> str:
    """A share as the scripts name it; either part may be empty where it is paused as a whole."""
    return f"{queue or ''} {site or ''}"


def control_channel(prefix: str) -> str:
    """Where every daemon of the farm hears commands."""
    return prefix + "control"
