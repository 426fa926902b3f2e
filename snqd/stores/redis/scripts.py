"""The scripts that run inside Redis: what must happen at once happens in one of them."""

from __future__ import annotations

from hashlib import sha1
from pathlib import Path

import attrs

_FOLDER = Path(__file__).with_name("lua")


@attrs.frozen
class Script:
    """One script.

    :ivar text: Lua.
    :ivar sha1: its name in Redis's cache.
    """

    text: str
    sha1: str


def _load(*names: str) -> Script:
    text = "\n".join((_FOLDER / f"{name}.lua").read_text() for name in ("common", *names))
    return Script(text, sha1(text.encode()).hexdigest())


ENQUEUE = _load("enqueue")
SETTLE = _load("settle")
CLAIM = _load("claiming", "claim")
CLAIM_SOLO = _load("claiming", "claim_solo")
REGISTER = _load("register")
RENEWED = _load("renewed")
BEAT = _load("beat")
RECOVER = _load("recover")
PAUSE = _load("pause")
PAUSES = _load("pauses")
HELD = _load("held")
WAITING = _load("waiting")
LOOK = _load("look")
TAKE = _load("take")
LEASE = _load("lease")
LEASED = _load("leased")
