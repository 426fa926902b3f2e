"""Login: what a client says of itself when it connects to a broker."""

from __future__ import annotations

import attrs


@attrs.frozen
class Login:
    """What a client says of itself.

    :ivar host: the broker's virtual host.
    :ivar heart_beat: seconds between signs of life that are offered and asked for, 0 for none.
    """

    username: str = ""
    password: str = attrs.field(default="", repr=False)
    host: str = "/"
    heart_beat: float = 10.0
