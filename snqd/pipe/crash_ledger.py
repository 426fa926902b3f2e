"""The crash ledger: which jobs a process was running, readable after whatever killed it.

A file of fixed slots, mapped into memory: a handler's start writes the job's id into a free slot, its end clears it.
What is in the map survives the process (it lies in the kernel's page cache), so that its parent finds the suspects and
leaves in peace the innocents that merely waited. The living hold a lock on their ledger; the kernel frees it with them.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from pathlib import Path

import attrs

from snqd.core.errors import StoreUnavailable

SLOT_BYTES = 65
"""One byte for the id's length, 0 while the slot is free, and the id."""
HEADER_BYTES = 256
LEDGERS = "children"
"""The folder within state_dir."""


class CrashLedger:
    """This process's own ledger.

    :param path: a new file, in a folder that exists.
    :param owner: the name under which the store knows this process's claims.
    :param slots: the most jobs that ever run at once.
    :raises StoreUnavailable: where the file can't be made.
    """

    def __init__(self, path: Path, owner: str, slots: int) -> None:
        self.path = path
        size = HEADER_BYTES + slots * SLOT_BYTES
        # It gets its name once it is locked, so that nobody takes it for a dead one's meanwhile.
        new = path.with_suffix(".new")
        try:
            self._fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unavailable(path, error) from error
        try:
            self._map = self._prepare(owner, size)
            os.rename(new, path)
        except OSError as error:
            os.close(self._fd)
            new.unlink(missing_ok=True)
            raise _unavailable(path, error) from error
        self._free = list(range(HEADER_BYTES, size, SLOT_BYTES))

    def _prepare(self, owner: str, size: int) -> mmap.mmap:
        fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A hole in the file would end the process (SIGBUS) at its first write to a full disk: claim the blocks now.
        os.posix_fallocate(self._fd, 0, size)
        mapped = mmap.mmap(self._fd, size)
        name = owner.encode()
        mapped[: 1 + len(name)] = bytes([len(name)]) + name
        return mapped

    def started(self, job_id: str) -> int:
        """Write down that `job_id` runs; returns the slot to clear at its end."""
        slot = self._free.pop()
        name = job_id.encode()
        end = slot + 1 + len(name)
        self._map[slot + 1 : end] = name
        self._map[slot] = len(name)
        return slot

    def ended(self, slot: int) -> None:
        """Clear `slot`: its job no longer runs."""
        self._map[slot] = 0
        self._free.append(slot)

    def close(self) -> None:
        """Remove the ledger: this process leaves nothing behind."""
        self._map.close()
        self.path.unlink(missing_ok=True)
        os.close(self._fd)


def _unavailable(path: Path, error: OSError) -> StoreUnavailable:
    return StoreUnavailable(f"can't make the crash ledger {path}: {error.strerror}")


@attrs.frozen
class LedgerContents:
    """What a ledger tells: whose claims they are, and the ids of the jobs that were running."""

    owner: str
    started: list[str]


def read_ledger(path: Path) -> LedgerContents:
    """Read the ledger at `path`, of the dead or the living.

    :raises FileNotFoundError: where there is none.
    """
    data = path.read_bytes()
    owner = data[1 : 1 + data[0]].decode()
    slots = (data[at : at + SLOT_BYTES] for at in range(HEADER_BYTES, len(data), SLOT_BYTES))
    return LedgerContents(owner, [slot[1 : 1 + slot[0]].decode("ascii", "replace") for slot in slots if slot[0]])


def is_held(path: Path) -> bool:
    """Whether the process that made the ledger at `path` still lives.

    :raises FileNotFoundError: where there is none.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)
