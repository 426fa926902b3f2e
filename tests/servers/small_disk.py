"""A small file system for tests of a full disk."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest


class SmallDisk:
    """A file system of `size` MiB, mounted on a folder; skips the test where that may not be, in CI it is an error.

    :param options: of tmpfs, beside its size.
    """

    def __init__(self, folder: Path, size: int, *options: str) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self._mount("-t", "tmpfs", "-o", ",".join([f"size={size}m", *options]), "snqd-test")

    def grow(self, size: int) -> None:
        """Make it `size` MiB large."""
        self._mount("-o", f"remount,size={size}m")

    def remove(self) -> None:
        """Unmount it."""
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)

    def _mount(self, *options: str) -> None:
        mounted = subprocess.run(["mount", *options, str(self.folder)], capture_output=True, text=True, check=False)
        if mounted.returncode:
            problem = f"can't mount a file system here: {mounted.stderr.strip()}"
            if os.environ.get("CI"):
                pytest.fail(problem)
            pytest.skip(problem)
