"""Every error that snqd raises on purpose: one tree, whose docstrings are the default messages."""

from __future__ import annotations

from collections.abc import Sequence


class SnqdError(Exception):
    """snqd failed."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class ConfigError(SnqdError):
    """The configuration is wrong.

    :ivar problems: one line each, naming file, section and key, and what to do.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class BadName(SnqdError):
    """That is no name of a site, a queue or a job."""


class BadPayload(SnqdError):
    """The payload can't be decoded."""


class PayloadTooLarge(SnqdError):
    """The payload is larger than a job may carry."""


class UnknownSite(SnqdError):
    """No site of that name is configured."""


class NoHandler(SnqdError):
    """No handler is configured for that queue."""


class StoreError(SnqdError):
    """The store failed."""


class StoreUnavailable(StoreError):
    """The store refuses or can't be reached for now; trying again may help (disk full, locked, connection lost)."""


class Unconfirmed(StoreUnavailable):
    """The store has not confirmed that it accepted the jobs: it may have them, or take them later.

    :ivar why: what was wrong.
    :ivar accepted: ids of those jobs that it did confirm.
    :ivar unknown: ids of those of which that is not known; enqueued again under other ids they may run twice.
    """

    def __init__(self, why: str, accepted: Sequence[str], unknown: Sequence[str]) -> None:
        super().__init__(
            f"{why}; accepted: {len(accepted)}, not known: {len(unknown)} (enqueue these again only under the same ids)"
        )
        self.why = why
        self.accepted = accepted
        self.unknown = unknown

    def of(self, ids: Sequence[str]) -> Unconfirmed | None:
        """What it says of those of the jobs whose ids are `ids`; None if they are all accepted."""
        accepted, unknown = ([each for each in ids if each in some] for some in (self.accepted, self.unknown))
        return Unconfirmed(self.why, accepted, unknown) if unknown else None


class StoreCorrupt(StoreError):
    """The store's file is damaged or no store of snqd's; it is left as it is."""


class SchemaTooNew(StoreError):
    """The store was written by a newer snqd."""


class AlreadyRunning(SnqdError):
    """Another daemon works on this state_dir."""


class DaemonNotRunning(SnqdError):
    """No daemon answers."""
