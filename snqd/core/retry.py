"""When a job that failed runs again, and when it has run often enough."""

from __future__ import annotations

from random import Random

import attrs

from snqd.core.outcome import DeadLetter, Retry


@attrs.frozen
class RetryPolicy:
    """Exponential back-off with jitter.

    :ivar max_retries: a job runs at most 1 + max_retries times.
    :ivar delay: seconds before the first retry; each further one waits twice as long.
    :ivar max_delay: seconds; no wait that the policy chooses is longer.
    """

    max_retries: int = 10
    delay: float = 15.0
    max_delay: float = 3600.0

    def exhausted(self, attempt: int) -> bool:
        """Whether attempt number `attempt` (the first is 1) is one too many."""
        return attempt > 1 + self.max_retries

    def delay_after(self, attempt: int, random: Random) -> float:
        """Seconds to wait after attempt number `attempt` failed: up to a quarter less than the doubled delay."""
        doubled: float = self.delay * 2 ** min(attempt - 1, 64)
        return min(doubled, self.max_delay) * (1 - random.random() / 4)

    def decide(self, attempt: int, wanted: Retry, random: Random) -> Retry | DeadLetter:
        """What becomes of a job whose attempt number `attempt` ended in `wanted`: the Retry with its delay filled in,
        or a DeadLetter after the last attempt.
        """
        if self.exhausted(attempt + 1):
            reason = f"{wanted.reason} (attempt {attempt} of {1 + self.max_retries})"
            return DeadLetter(reason, wanted.traceback)
        if wanted.delay is not None:
            return wanted
        return attrs.evolve(wanted, delay=self.delay_after(attempt, random))


LEAST_SITE_PATIENCE = 1.0
MOST_SITE_PATIENCE = 60.0


def site_patience(age: float) -> float:
    """Seconds that a job of an unknown site waits before its site is asked for again: the older it is, the more.

    :param age: seconds since the job was enqueued.
    """
    return max(LEAST_SITE_PATIENCE, min(age / 2, MOST_SITE_PATIENCE))
