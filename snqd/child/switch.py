"""Switch: how a child goes over to another configuration, in two phases: all that it is made of, or nothing."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from snqd.child.configuration import ChildConfiguration, ParsedChange
from snqd.config.settings import Settings
from snqd.config.sources import SourceChanges
from snqd.core.errors import ConfigError, SnqdError
from snqd.handlers.loading import HandlerLoadError, check_importable
from snqd.pipe.commands import CommandFailed, Commit, Drop, Prepare, Responders


class Prepared(Protocol):
    """What other settings need: it is made, and not in use. One of the two is called, once."""

    def commit(self) -> None:
        """Go over to it. Must not fail; jobs that run end as they began."""

    def drop(self) -> None:
        """Let go of what was made."""


class Participant(Protocol):
    """A part of a child that follows the configuration."""

    def prepare(self, settings: Settings) -> Prepared:
        """Make what `settings` need.

        :raises SnqdError: saying why that can't be; nothing is then left of what was made.
        """


class NothingPrepared:
    """For a participant to whom the settings bring nothing new."""

    def commit(self) -> None:
        """Nothing changes."""

    def drop(self) -> None:
        """Nothing was made."""


@attrs.frozen
class Following:
    """A participant that has nothing to prepare.

    :ivar follow: called with the settings once they hold. Must not fail.
    """

    follow: Callable[[Settings], Any]

    def prepare(self, settings: Settings) -> Prepared:
        """See :class:`Participant`."""
        return _ToFollow(partial(self.follow, settings))


@attrs.frozen
class _ToFollow:
    commit: Callable[[], Any]

    def drop(self) -> None:
        """Nothing was made."""


class Switch:
    """Does what the parent asks for with Prepare, Commit and Drop.

    :param participants: in the order in which they go over.
    """

    log = Logger()

    def __init__(self, configuration: ChildConfiguration, participants: Sequence[Participant]) -> None:
        self._configuration = configuration
        self._participants = participants
        self._change: ParsedChange | None = None
        self._prepared: list[Prepared] = []
        self._turn = object()

    def responders(self) -> Responders:
        """By command what does it."""
        return {Prepare: self.prepare, Commit: self.commit, Drop: self.drop}

    def prepare(self, changes: dict[str, Any], digest: str, check: Iterable[str]) -> Deferred[dict[str, Any]]:
        """Make what the configuration after `changes` needs; what was prepared before is dropped.

        :param changes: SourceChanges in JSON.
        :param digest: of all sources after them.
        :param check: queues of other groups whose handlers must be importable.
        :returns: fires with `problems`, a list that is empty if all is well, and `traceback`.
        """
        prepared = self._prepare(SourceChanges.from_json(changes), digest, check)
        return Deferred.fromCoroutine(prepared).addErrback(_problems)

    async def _prepare(self, changes: SourceChanges, digest: str, check: Iterable[str]) -> dict[str, Any]:
        self.drop()
        turn = self._turn = object()
        change = await self._configuration.parse(changes, digest)
        if turn is not self._turn:
            raise SnqdError("the parent has decided otherwise meanwhile")
        for queue in check:
            check_importable(change.settings.handlers[queue])
        self._prepared = self._prepare_all(change.settings)
        self._change = change
        return {"problems": [], "traceback": ""}

    def _prepare_all(self, settings: Settings) -> list[Prepared]:
        prepared: list[Prepared] = []
        try:
            for participant in self._participants:
                prepared.append(participant.prepare(settings))
        except Exception:
            _drop(prepared)
            raise
        return prepared

    def commit(self, digest: str) -> str:
        """Go over to what was prepared.

        :returns: the digest of the configuration that is then in force.
        :raises CommandFailed: if that is not what was prepared, or if a participant could not go over to it, which is
            logged: the others have, and the child must be told everything once more, or go.
        """
        change, prepared = self._change, self._prepared
        if change is None or change.digest != digest:
            raise CommandFailed("another configuration was prepared, or none")
        self._change, self._prepared = None, []
        self._configuration.use(change)
        broken = [each for each in prepared if not self._committed(each)]
        if broken:
            raise CommandFailed("a part of the child could not go over to the configuration: see the log")
        return self._configuration.digest

    def _committed(self, prepared: Prepared) -> bool:
        try:
            prepared.commit()
        except Exception:  # noqa: BLE001 - the others must not stay with the old configuration
            self.log.failure("a part of the child could not go over to the configuration")
            return False
        return True

    def drop(self) -> None:
        """Forget what was prepared, and what is being prepared."""
        self._turn = object()
        self._change = None
        prepared, self._prepared = self._prepared, []
        _drop(prepared)


def _drop(prepared: Sequence[Prepared]) -> None:
    for each in reversed(prepared):
        each.drop()


def _problems(failure: Failure) -> dict[str, Any]:
    error = failure.value
    if isinstance(error, ConfigError):
        return {"problems": error.problems, "traceback": ""}
    if isinstance(error, HandlerLoadError):
        return {"problems": [str(error)], "traceback": error.traceback}
    text = "".join(traceback.format_exception(error))
    return {"problems": [str(error) if isinstance(error, SnqdError) else repr(error)], "traceback": text}
