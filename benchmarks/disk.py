"""Disk: the bare limit of whatever must be on disk before it is confirmed."""

from __future__ import annotations

import os
import time
from pathlib import Path

RECORD = b"x" * 300


def sync_waits(folder: Path, number: int, apart: float) -> list[float]:
    """Milliseconds of each of `number` appends to a file of `folder` with its fdatasync, `apart` seconds apart."""
    path = folder / "disk"
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    waits = []
    try:
        for _ in range(number):
            started = time.monotonic()
            os.write(file, RECORD)
            os.fdatasync(file)
            waits.append((time.monotonic() - started) * 1000)
            time.sleep(apart)
    finally:
        os.close(file)
        path.unlink()
    return waits
