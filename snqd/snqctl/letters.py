"""Dead letters as snqctl shows them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console

from snqd.core.errors import BadPayload
from snqd.snqctl.invocation import printable
from snqd.stores.morgue.morgue import Letter
from snqd.wire.payload import decode, to_json_text


def as_document(letter: Letter) -> dict[str, Any]:
    """A letter as ``dead list --json`` has it; a payload that can't be decoded is ``{"base64": ...}`` of its bytes."""
    return {
        "id": letter.id,
        "site": letter.site,
        "queue": letter.queue,
        "payload": payload_of(letter),
        "attempts": letter.attempts,
        "created": letter.created,
        "died": letter.died,
        "reason": letter.reason,
        "traceback": letter.traceback,
    }


def payload_of(letter: Letter) -> Any:
    """The payload as JSON can carry it."""
    try:
        return json.loads(to_json_text(decode(letter.body, letter.encoding)))
    except (BadPayload, RecursionError):
        return {"base64": base64.b64encode(letter.body).decode()}


def json_array(letters: Iterable[Letter]) -> Iterator[str]:
    """One JSON document in pieces, a line a letter, so that a million letters need no memory."""
    yield "["
    comma = ""
    for letter in letters:
        yield f"{comma}\n{json.dumps(as_document(letter))}"
        comma = ","
    yield "\n]\n"


def show(letter: Letter, out: Console) -> None:
    """Print a letter with all that is known of it."""
    from snqd.snqctl.tables import moment

    facts = {
        "id": letter.id,
        "site": letter.site,
        "queue": letter.queue,
        "attempts": str(letter.attempts),
        "created": moment(letter.created),
        "died": moment(letter.died),
        "reason": letter.reason,
        "payload": json.dumps(payload_of(letter), indent=2, ensure_ascii=False),
        "traceback": letter.traceback,
    }
    for name, text in facts.items():
        if text:
            shown = printable(text.rstrip()).replace("\n", "\n  ")
            out.print(f"{name:<10}" + (f"\n  {shown}" if "\n" in shown else shown), markup=False, soft_wrap=True)
