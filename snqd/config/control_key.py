"""The key that commands to all daemons are signed with."""

from __future__ import annotations

import os
from pathlib import Path

from snqd.core.errors import ConfigError

MIN_KEY_BYTES = 16
OTHERS = 0o077


def read_control_key(path: Path) -> bytes:
    """The key in the file that ``[queue] control_key_file`` names, without white space around it.

    :raises ConfigError: if it can't be read, is too short, or others than its owner may use the file.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            key = file.read().strip()
    except OSError as error:
        raise _problem(path, f"can't be read: {error.strerror}") from error
    if mode & OTHERS:
        raise _problem(path, f"has mode {mode:04o}, so that others can use it: chmod 600 {path}")
    if len(key) < MIN_KEY_BYTES:
        raise _problem(
            path, f"holds {len(key)} bytes, {MIN_KEY_BYTES} are the least: make one with openssl rand -hex 32 > {path}"
        )
    return key


def _problem(path: Path, what: str) -> ConfigError:
    return ConfigError([f"[queue] control_key_file: {path} {what}"])
