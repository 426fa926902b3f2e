"""Commands to all daemons on a store: snqd's own messages, signed or not, and the plain words of StatusNet."""

from __future__ import annotations

import hmac
import json
import math
import re
import secrets
from hashlib import sha256
from typing import Any

import attrs

from snqd.core.errors import BadName, SnqdError
from snqd.core.names import check_id, check_site

MAX_BYTES = 4096
"""The longest message; of a longer one a listener hands on only a little more than that."""
COMMANDS = ("update", "restart", "stop")
# The version is in it: whoever does not know it can't check the signature either.
_OWN = re.compile(rb"snqd1 (-|[0-9a-f]{64}) (\{.*\})", re.DOTALL)
_PLAIN = {"restart": "restart", "shutdown": "stop"}
_UPDATE = "update:"


class BadControlMessage(SnqdError):
    """It is no command, or is not to be obeyed."""


@attrs.frozen
class ControlMessage:
    """A command to all daemons.

    :ivar command: of :data:`COMMANDS`.
    :ivar site: what ``update`` is about, None for everything.
    :ivar id: no other message has it; empty in StatusNet's.
    :ivar sent: by the sender's clock, Unix seconds.
    :ivar sender: who it says it is.
    """

    command: str
    site: str | None = None
    id: str = ""
    sent: float = 0.0
    sender: str = "somebody"


def new_message(command: str, site: str | None, now: float, sender: str) -> ControlMessage:
    """A message of now, with a new id."""
    return ControlMessage(command, site, secrets.token_hex(16), now, sender)


def encode(message: ControlMessage, key: bytes | None) -> bytes:
    """The message's bytes, signed if there is a key."""
    text = json.dumps(attrs.asdict(message)).encode()
    return b"snqd1 %s %s" % (_signature(text, key).encode() if key is not None else b"-", text)


@attrs.frozen
class Received:
    """Bytes that came, their signature not checked and their text not read.

    :ivar signature: empty where there is none.
    :ivar own: whether it is snqd's kind.
    """

    text: bytes
    signature: str
    own: bool

    @classmethod
    def of(cls, body: bytes) -> Received:
        """Take the parts of `body`."""
        match = _OWN.fullmatch(body.strip())
        if match is None:
            return cls(body.strip(), "", own=False)
        return cls(match[2], match[1].decode().strip("-"), own=True)

    def is_signed_with(self, key: bytes) -> bool:
        """Whether the signature is right; takes as long if it is not."""
        return hmac.compare_digest(self.signature, _signature(self.text, key))

    def read(self) -> ControlMessage:
        """What it says.

        :raises BadControlMessage: saying why it is none.
        """
        try:
            return _read_own(self.text) if self.own else _read_plain(self.text)
        except BadName as error:
            raise BadControlMessage(str(error)) from error


def _signature(text: bytes, key: bytes) -> str:
    return hmac.new(key, b"snqd1 " + text, sha256).hexdigest()


def _read_plain(text: bytes) -> ControlMessage:
    words = text.decode(errors="replace")
    if words.startswith(_UPDATE):
        return ControlMessage("update", check_site(words.removeprefix(_UPDATE)))
    if words not in _PLAIN:
        raise BadControlMessage(f"there is no command {words[:40]!a}")
    return ControlMessage(_PLAIN[words])


def _read_own(text: bytes) -> ControlMessage:
    try:
        document = json.loads(text)
        message = _checked(document)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        raise BadControlMessage("what it says can't be read") from None
    if message.command not in COMMANDS:
        raise BadControlMessage(f"there is no command {message.command[:40]!a}")
    return message


def _checked(document: dict[str, Any]) -> ControlMessage:
    command, site, sender = document["command"], document["site"], document["sender"]
    sent = float(document["sent"])
    if not (isinstance(command, str) and isinstance(sender, str) and math.isfinite(sent)):
        raise ValueError
    if site is not None:
        check_site(site)
    return ControlMessage(command, site, check_id(document["id"]), sent, repr(sender[:100])[1:-1])
