"""Debian 13's servers, run from a root that debian13-root.sh has laid beside this machine's own system."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(os.environ.get("SNQD_TRIXIE") or "/var/lib/snqd-trixie")
IN13 = Path(f"{ROOT}.in13")


def root_lacks(*files: str) -> str:
    """What is missing for a server of the root to start, empty if nothing.

    :param files: the server's, by their paths in the root.
    """
    if os.geteuid() != 0:
        return "root, to run what lies in Debian 13's root"
    lacking = [str(IN13), *(f"{ROOT}{each}" for each in files)]
    absent = next((each for each in lacking if not Path(each).exists()), "")
    return f"{absent} (lay it: tests/servers/debian13-root.sh)" if absent else ""


def in13(argv: Sequence[str], folder: Path, env: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """What to run, and in which environment, so that `argv` runs in the root and `folder` is the same there."""
    return [str(IN13), *argv], {**env, "SNQD_RUN": str(folder)}
