"""What becomes of a job whose handler raised: one pure function from the exception to the Outcome."""

from __future__ import annotations

import re
import traceback as tracebacks

from snqd.core.errors import BadPayload
from snqd.core.outcome import DeadLetter, Outcome, Retry
from snqd.handlers.queue_handler import Reject, RetryLater

MAX_REASON_CHARS = 300
MAX_TRACEBACK_CHARS = 20_000

# What a terminal would obey, a store would cut at, or UTF-8 can't carry: controls, direction marks, lone surrogates.
_UNFIT = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")
_NO_LOOP = "no running event loop"


def outcome_of(error: BaseException, traceback: str | None = None) -> Outcome:
    """The Outcome of a job whose handler ended in `error`.

    :param traceback: the traceback's text where `error` no longer carries it, as in a Failure that has travelled.
    """
    if isinstance(error, RetryLater):
        return Retry(one_line(error.reason), error.delay, _cause(error))
    if isinstance(error, Reject):
        return DeadLetter(one_line(error.reason), _cause(error))
    if isinstance(error, BadPayload):
        return DeadLetter(one_line(error))
    return Retry(_described(error), None, _text_of(error) if traceback is None else _bounded(traceback))


def one_line(text: object) -> str:
    """The first line of `text`, at most `MAX_REASON_CHARS` long, in characters that every store can keep."""
    try:
        lines = str(text).strip().splitlines()
    except Exception as error:  # noqa: BLE001  it must not hide the error whose message this is
        lines = [f"(its message can't be shown: {type(error).__name__})"]
    line = _storable(lines[0]) if lines else ""
    return line if len(line) <= MAX_REASON_CHARS else line[: MAX_REASON_CHARS - 3] + "..."


def _described(error: BaseException) -> str:
    name, message = type(error).__name__, one_line(error)
    if message == _NO_LOOP:
        message += ": handlers run on Twisted's reactor, so await Deferreds, nothing of asyncio's"
    return one_line(f"{name}: {message}" if message else name)


def _cause(error: BaseException) -> str:
    return _text_of(error) if error.__cause__ is not None else ""


def _text_of(error: BaseException) -> str:
    return _bounded("".join(tracebacks.format_exception(error)))


def _bounded(text: str) -> str:
    # The end of a traceback names the error and the line that raised it.
    return _storable(text if len(text) <= MAX_TRACEBACK_CHARS else "...\n" + text[-MAX_TRACEBACK_CHARS:])


def _storable(text: str) -> str:
    return _UNFIT.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
