"""The file with the key that commands are signed with."""

from __future__ import annotations

from pathlib import Path

import pytest

from snqd.config.control_key import read_control_key
from snqd.core.errors import ConfigError


def key_file(folder: Path, text: bytes = b"0123456789abcdef", mode: int = 0o600) -> Path:
    path = folder / "control.key"
    path.write_bytes(text)
    path.chmod(mode)
    return path


def test_white_space_around_it_does_not_count(tmp_path: Path) -> None:
    assert read_control_key(key_file(tmp_path, b" 0123456789abcdef\r\n")) == b"0123456789abcdef"
    assert read_control_key(key_file(tmp_path, mode=0o400)) == b"0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        (b"0123456789abcde\n\n", 0o600, "holds 15 bytes, 16 are the least"),
        (b"0123456789abcdef", 0o640, "mode 0640"),
        (b"0123456789abcdef", 0o604, "chmod 600"),
    ],
)
def test_what_is_no_secret_is_refused(tmp_path: Path, text: bytes, mode: int, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as refused:
        read_control_key(key_file(tmp_path, text, mode))
    assert "[queue] control_key_file" in str(refused.value)
    assert "0123" not in str(refused.value)


def test_a_missing_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read: No such file"):
        read_control_key(tmp_path / "none")
