"""What became of each job on its way through a proxy, from the frames that it let pass: not guessed from times."""

from __future__ import annotations

import time
from collections import defaultdict

import attrs

from snqd.stomp.frame import Frame
from snqd.stomp.parser import Parser
from snqd.stores.stomp.message import ATTEMPT, id_of

UNSURE = 1.0
"""Seconds before its end in which a connection may have swallowed what it had taken: the reset throws it away."""


@attrs.define(eq=False)
class Session:
    """A connection. Times are `time.monotonic()`.

    :ivar ended: when, None while it lasts.
    :ivar was_cut: whether the proxy ended it.
    """

    pid: int
    ended: float | None = None
    was_cut: bool = False


@attrs.define(eq=False)
class Passage:
    """A MESSAGE or a SEND of a job.

    :ivar answered: when the ACK or RECEIPT for it passed, None if it never did. A NACK is none: the job comes
        back.
    """

    job: str
    attempt: int
    session: Session
    at: float
    answered: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether its session ended before the other side had certainly read the answer."""
        ended = self.session.ended
        return ended is not None and (self.answered is None or self.answered > ended - UNSURE)


class FrameLog:
    """Deliveries and sendings of all jobs; written by the proxy's threads, each list by appending alone."""

    def __init__(self) -> None:
        self.deliveries: dict[str, list[Passage]] = defaultdict(list)
        self.sendings: dict[str, list[Passage]] = defaultdict(list)

    def of_session(self, session: Session) -> tuple[FrameReader, FrameReader]:
        """Readers of what goes to the broker and of what comes from it."""
        unanswered: dict[tuple[str, str], Passage] = {}
        return FrameReader(self.sendings, session, unanswered), FrameReader(self.deliveries, session, unanswered)


class FrameReader:
    """Reads one direction of one session."""

    def __init__(
        self, log: dict[str, list[Passage]], session: Session, unanswered: dict[tuple[str, str], Passage]
    ) -> None:
        self._log = log
        self._session = session
        self._unanswered = unanswered
        self._parser = Parser()

    def passing(self, data: bytes) -> None:
        """These bytes are about to be forwarded."""
        for frame in self._parser.feed(data):
            self._read(frame, time.monotonic())

    def _read(self, frame: Frame, now: float) -> None:
        headers = frame.headers
        answer = {"ACK": "id", "RECEIPT": "receipt-id"}.get(frame.command)
        asks = {"MESSAGE": "ack", "SEND": "receipt"}.get(frame.command)
        if answer is not None:
            passage = self._unanswered.pop((answer[0], headers.get(answer, "")), None)
            if passage is not None:
                passage.answered = now
        elif asks is not None and (job_id := id_of(headers)):
            passage = Passage(job_id, int(headers.get(ATTEMPT, "1")), self._session, now)
            self._log[passage.job].append(passage)
            kind = "i" if frame.command == "MESSAGE" else "r"
            self._unanswered[kind, headers.get(asks, "")] = passage
