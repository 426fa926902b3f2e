"""The doorbell of the embedded queue, on real sockets."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from snqd.stores.doorbell import Ringer, bells_of
from snqd.stores.doorbell_listener import Bell


class Ear:
    """Hears a bell."""

    def __init__(self) -> None:
        self.count = 0
        self._next: Deferred[None] | None = None

    def heard(self) -> None:
        self.count += 1
        if self._next is not None:
            done, self._next = self._next, None
            done.callback(None)

    def next(self) -> Deferred[None]:
        self._next = Deferred()
        return self._next.addTimeout(60, reactor)


@pytest.fixture
def bells(tmp_path: Path) -> Path:
    return bells_of(tmp_path / "queue.db")


@pytest.fixture
def hung(bells: Path) -> Iterator[tuple[Bell, Ear]]:
    """A bell, and who hears it."""
    ear = Ear()
    bell = Bell(reactor, bells, "1", ear.heard)
    bell.start()
    yield bell, ear
    if (bells / "1").exists():
        bell.stop()


@pytest.fixture
def ringer(bells: Path) -> Iterator[Ringer]:
    made = Ringer(bells)
    yield made
    made.close()


@ensureDeferred
async def test_a_ring_is_heard(hung: tuple[Bell, Ear], ringer: Ringer) -> None:
    heard = hung[1].next()
    ringer.ring()
    await heard


@ensureDeferred
async def test_many_rings_in_one_turn_are_heard_once_and_block_nobody(hung: tuple[Bell, Ear], ringer: Ringer) -> None:
    heard = hung[1].next()
    for _ in range(5000):  # more than the socket holds
        ringer.ring()
    await heard
    assert hung[1].count == 1
    heard = hung[1].next()
    ringer.ring()
    await heard


@ensureDeferred
async def test_all_others_are_rung_and_the_own_bell_stays_silent(hung: tuple[Bell, Ear], bells: Path) -> None:
    other = Ear()
    bell = Bell(reactor, bells, "2", other.heard)
    bell.start()
    ringer = Ringer(bells, "1")
    heard = other.next()
    ringer.ring()
    await heard
    await deferLater(reactor, 0)
    assert hung[1].count == 0
    bell.stop()
    ringer.close()


def test_a_bell_whose_process_is_gone_is_taken_down(bells: Path, ringer: Ringer) -> None:
    bells.mkdir()
    gone = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    gone.bind(str(bells / "9"))
    gone.close()
    ringer.ring()
    assert os.listdir(bells) == []


def test_a_stopped_bell_leaves_nothing(hung: tuple[Bell, Ear], bells: Path) -> None:
    hung[0].stop()
    assert os.listdir(bells) == []


def test_ringing_where_nobody_ever_listened_is_fine(ringer: Ringer, bells: Path) -> None:
    ringer.ring()
    assert not bells.exists()


@ensureDeferred
async def test_a_path_longer_than_a_sockets_may_be_is_fine(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    ear = Ear()
    bell = Bell(reactor, folder / "bells", "1", ear.heard)
    bell.start()
    ringer = Ringer(folder / "bells")
    heard = ear.next()
    ringer.ring()
    await heard
    bell.stop()
    ringer.close()


def test_the_bells_are_for_their_owner_alone(hung: tuple[Bell, Ear], bells: Path) -> None:
    assert bells.stat().st_mode & 0o077 == 0
