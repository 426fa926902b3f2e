"""Settlement: what a store is told, in one transaction, of the jobs that were claimed from it."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from snqd.core.job import Job
from snqd.stores.interface import Receipt


@attrs.frozen
class Settlement:
    """What a store was told of its claimed jobs since its last transaction."""

    acks: list[tuple[Receipt, Sequence[Job]]] = attrs.field(factory=list)
    retries: list[tuple[Receipt, float, str, bool]] = attrs.field(factory=list)
    given_back: list[Receipt] = attrs.field(factory=list)

    @property
    def receipts(self) -> list[Receipt]:
        """Of all the jobs that it is about."""
        return [ack[0] for ack in self.acks] + [retry[0] for retry in self.retries] + self.given_back

    def by_epoch(self) -> dict[int, Settlement]:
        """Its parts, one for each owner that the jobs were claimed under."""
        parts: dict[int, Settlement] = {}
        for ack in self.acks:
            parts.setdefault(ack[0].epoch, Settlement()).acks.append(ack)
        for retry in self.retries:
            parts.setdefault(retry[0].epoch, Settlement()).retries.append(retry)
        for receipt in self.given_back:
            parts.setdefault(receipt.epoch, Settlement()).given_back.append(receipt)
        return parts
