"""Recovery: what dead children held goes back to the store, by the hands of a living one.

The parent opens no store. It reads the crash ledger of a child that died and asks a child that is up, of whatever
group, to free its claims; the ledger stays until that one has answered that the store made it durable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import attrs
from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from snqd.daemon.child_process import ChildProcess
from snqd.pipe.commands import Recover
from snqd.pipe.crash_ledger import LedgerContents, is_held, read_ledger
from snqd.pipe.periodic import PeriodicCall

LEDGERS = "*.ledger"
FIRST_RETRY = 1.0
LONGEST_RETRY = 30.0
LOOK_EVERY = 1.0
ORPHANED = "its daemon died"


@attrs.define
class DeadChild:
    """What one dead process left behind."""

    path: Path
    remains: LedgerContents
    cause: str
    in_hand: bool = False


class Recovery(Service):
    """Sees to it that every ledger in `folder` whose process is dead gets recovered.

    :param helpers: gives the children that are up.
    :param suspected: told the incarnation of the dead process, once its suspects wait to run alone.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        folder: Path,
        helpers: Callable[[], Iterable[ChildProcess]],
        suspected: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._folder = folder
        self._helpers = helpers
        self._suspected = suspected
        self._estates: list[DeadChild] = []
        self._unread: dict[Path, str] = {}
        """Ledgers that are held, or can't be read for now, and what ended their processes."""
        self._told: set[Path] = set()
        self._delay = FIRST_RETRY
        self._retry: IDelayedCall | None = None
        self._look = PeriodicCall(clock, self._look_at_unread)

    def startService(self) -> None:
        """Find what an earlier daemon's children left behind, or still hold; called before any child is started."""
        super().startService()  # type: ignore[no-untyped-call]
        self._unread = dict.fromkeys(sorted(self._folder.glob(LEDGERS)), ORPHANED)
        self._look.start(LOOK_EVERY)

    def stopService(self) -> None:
        """Leave what is not recovered to the next daemon."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._look.running:
            self._look.stop()
        self._cancel_retry()

    def died(self, incarnation: str, cause: str) -> int:
        """A child is dead: recover what it held; returns how many jobs were running in it."""
        path = self._folder / f"{incarnation}.ledger"
        running = self._take(path, cause)
        self.attempt()
        return running

    def attempt(self) -> None:
        """Hand every estate that is in nobody's hands to a child that is up, if one is."""
        helper = next(iter(self._helpers()), None)
        if helper is None or not self.running:
            return
        self._cancel_retry()
        for estate in [each for each in self._estates if not each.in_hand]:
            estate.in_hand = True
            remains = estate.remains
            asked = helper.ask(Recover, owner=remains.owner, suspects=remains.started, cause=estate.cause)
            asked.addCallbacks(self._recovered, self._failed, callbackArgs=(estate,), errbackArgs=(estate,))
            asked.addErrback(lambda failure: self.log.failure("recovery went wrong", failure))

    def _take(self, path: Path, cause: str) -> int:
        try:
            remains = read_ledger(path)
        except FileNotFoundError:
            return 0  # it left nothing: it closed its ledger, or never made one
        except OSError as error:
            self._read_later(path, cause, error)
            return 0
        except (ValueError, IndexError) as error:
            self.log.error(
                "the crash ledger {path} is damaged ({error!r}); {aside}, the jobs come back when their lease ends",
                path=path,
                error=error,
                aside=_set_aside(path),
            )
            return 0
        self._told.discard(path)
        self._estates.append(DeadChild(path, remains, cause))
        return len(remains.started)

    def _read_later(self, path: Path, cause: str, error: OSError) -> None:
        """Keep in mind what a passing error hid: too many open files, a disk's, a mode that will be set right."""
        if path not in self._told:
            self._told.add(path)
            self.log.error(
                "the crash ledger {path} can't be read yet, and is tried again every second: {error}",
                path=path,
                error=error.strerror,
            )
        self._unread[path] = cause
        if self.running and not self._look.running:
            self._look.start(LOOK_EVERY, now=False)

    def _look_at_unread(self) -> None:
        unread, self._unread = self._unread, {}
        for path, cause in unread.items():
            self._look_at(path, cause)
        if not self._unread:
            self._look.stop()
        self.attempt()

    def _look_at(self, path: Path, cause: str) -> None:
        try:
            held = is_held(path)
        except FileNotFoundError:
            self.log.debug("{path} is gone: its process has drained", path=path)
        except OSError as error:
            self._read_later(path, cause, error)
        else:
            if held:
                self._unread[path] = cause
            else:
                self._take(path, cause)

    def _recovered(self, answer: dict[str, Any], estate: DeadChild) -> None:
        self._delay = FIRST_RETRY
        self._estates.remove(estate)
        estate.path.unlink(missing_ok=True)
        suspects = len(estate.remains.started)
        self.log.info(
            "what {owner} held is free ({cause}): {freed} came back; {suspects} were running, and go solo unless "
            "others have done them meanwhile",
            freed=answer["freed"],
            owner=estate.path.stem,
            cause=estate.cause,
            suspects=suspects,
        )
        if suspects:
            self._suspected(estate.path.stem)

    def _failed(self, failure: Failure, estate: DeadChild) -> None:
        estate.in_hand = False
        self.log.warn(
            "what {owner} held is not recovered yet: {reason}; next attempt in {delay} s",
            owner=estate.path.stem,
            reason=failure.getErrorMessage(),
            delay=self._delay,
        )
        if self.running and self._retry is None:
            self._retry = self._clock.callLater(self._delay, self._again)
            self._delay = min(self._delay * 2, LONGEST_RETRY)

    def _again(self) -> None:
        self._retry = None
        self.attempt()

    def _cancel_retry(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None


def _set_aside(path: Path) -> str:
    """Give an unreadable ledger another name, and say so; a folder that is read-only, too, must keep no child away."""
    try:
        path.rename(path.with_suffix(".damaged"))
    except OSError as error:
        return f"it could not be set aside as .damaged either ({error.strerror})"
    return "set aside as .damaged"
