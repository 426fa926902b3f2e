"""Settler: the one place where an outcome is carried out: told to the store, counted, logged and announced."""

from __future__ import annotations

from random import Random
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from snqd.core.backoff import Backoff
from snqd.core.clocks import unix_time
from snqd.core.counters import Counters
from snqd.core.errors import StoreUnavailable
from snqd.core.job import Job
from snqd.core.outcome import Ack, DeadLetter, Outcome, Retry
from snqd.core.retry import RetryPolicy
from snqd.monitor.ping import Pings
from snqd.stores.interface import Claimed, IJobs
from snqd.stores.morgue.morgue import Letter
from snqd.stores.morgue.writer import MorgueWriter


@attrs.define
class Ended:
    """A job whose handler has come to an end; not frozen for its speed, but nobody changes one.

    :ivar server: the site's server name, for the monitor; empty if the site is unknown.
    :ivar follow_ups: what it enqueued; it counts only with an Ack.
    :ivar seconds: how long it occupied a handler.
    :ivar ran: whether a handler saw it at all.
    """

    claimed: Claimed
    outcome: Outcome
    policy: RetryPolicy
    server: str
    follow_ups: list[Job] = attrs.field(factory=list)
    seconds: float = 0.0
    ran: bool = True


class Settler:
    """Carries outcomes out."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        store: IJobs,
        morgue: MorgueWriter,
        counters: Counters,
        pinger: Pings,
        random: Random,
    ) -> None:
        self._reactor = reactor
        self._store = store
        self._morgue = morgue
        self._counters = counters
        self._pinger = pinger
        self._random = random

    def settle(self, ended: Ended) -> Deferred[Any]:
        """Carry out `ended.outcome`; fires when that is durable, was too late, or has failed and is logged."""
        outcome = ended.outcome
        if isinstance(outcome, Ack):
            done = self._store.ack(ended.claimed.receipt, ended.follow_ups)
            return done.addCallbacks(self._acked, self._failed, (ended,), errbackArgs=(ended,))
        return Deferred.fromCoroutine(self._settle_failure(ended)).addErrback(self._failed, ended)

    def hold_back(self, claimed: Claimed, delay: float, reason: str) -> Deferred[Any]:
        """Let a job that no handler saw wait for `delay` seconds; fires as :meth:`settle` does."""
        held = self._store.retry(claimed.receipt, delay, reason, attempted=False)
        return held.addErrback(self._failed, Ended(claimed, Retry(reason), RetryPolicy(), "", ran=False))

    def _acked(self, good: bool, ended: Ended) -> None:
        if not good:
            return self._too_late(ended)
        job = ended.claimed.job
        self._counters.settled += 1
        tally = self._counters.of(job.queue, job.site)
        tally.handled += 1
        tally.seconds += ended.seconds
        for follow_up in ended.follow_ups:
            self._counters.of(follow_up.queue, follow_up.site).enqueued += 1
            self._pinger.counter("enqueued", follow_up.queue, ended.server)
        self._pinger.counter("handled", job.queue, ended.server)
        return None

    async def _settle_failure(self, ended: Ended) -> None:
        outcome = ended.outcome
        if isinstance(outcome, Retry):
            outcome = ended.policy.decide(ended.claimed.job.attempt, outcome, self._random)
        if isinstance(outcome, Retry):
            await self._retry(ended, outcome)
        elif isinstance(outcome, DeadLetter):
            await self._bury(ended, outcome)

    async def _retry(self, ended: Ended, outcome: Retry) -> None:
        delay = outcome.delay or 0.0
        if not await self._store.retry(ended.claimed.receipt, delay, outcome.reason):
            return self._too_late(ended)
        self._count(ended, "retried", "requeued")
        self.log.warn(
            "job {job} of site {site}, queue {queue}, attempt {attempt} runs again in {delay:.1f} s: {reason}",
            delay=delay,
            reason=outcome.reason,
            traceback=outcome.traceback,
            **_fields(ended),
        )
        return None

    async def _bury(self, ended: Ended, outcome: DeadLetter) -> None:
        job = ended.claimed.job
        letter = Letter(
            id=job.id,
            site=job.site,
            queue=job.queue,
            body=job.body,
            encoding=job.encoding,
            attempts=job.attempt if ended.ran else job.attempt - 1,
            created=job.created,
            died=unix_time(),
            reason=outcome.reason,
            traceback=outcome.traceback,
        )
        await self._in_the_morgue(letter)
        if not await self._store.ack(ended.claimed.receipt):
            return self._too_late(ended)
        self._count(ended, "dead", "deadletter")
        self.log.error(
            "job {job} of site {site}, queue {queue}, attempt {attempt} is a dead letter: {reason}",
            reason=outcome.reason,
            traceback=outcome.traceback,
            **{**_fields(ended), "attempt": letter.attempts},
        )
        return None

    async def _in_the_morgue(self, letter: Letter) -> None:
        backoff = Backoff(0.5, 15.0, self._random)
        while True:
            try:
                return await self._morgue.bury(letter)
            except StoreUnavailable as error:
                self.log.error(
                    "dead letter {job} of site {site}, queue {queue} waits for the morgue: {error}",
                    job=letter.id,
                    site=letter.site,
                    queue=letter.queue,
                    error=error,
                )
            await deferLater(self._reactor, backoff.failed())

    def _count(self, ended: Ended, name: str, ping: str) -> None:
        job = ended.claimed.job
        self._counters.settled += 1
        tally = self._counters.of(job.queue, job.site)
        setattr(tally, name, getattr(tally, name) + 1)
        tally.seconds += ended.seconds
        self._pinger.counter(ping, job.queue, ended.server)

    def _too_late(self, ended: Ended) -> None:
        self.log.warn(
            "job {job} of site {site}, queue {queue}, attempt {attempt} was given to another process meanwhile: "
            "its outcome here does not count",
            **_fields(ended),
        )

    def _failed(self, failure: Any, ended: Ended) -> None:
        self.log.failure(
            "job {job} of site {site}, queue {queue}, attempt {attempt} could not be settled; "
            "it stays claimed until this process ends",
            failure,
            **_fields(ended),
        )


def _fields(ended: Ended) -> dict[str, Any]:
    job = ended.claimed.job
    return {"job": job.id, "site": job.site, "queue": job.queue, "attempt": job.attempt}
