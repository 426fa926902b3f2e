from __future__ import annotations

import stat
from pathlib import Path

import pytest

from snqd.stores.morgue.files import file_name, write_letter
from snqd.stores.morgue.morgue import Letter


def test_the_file_is_named_as_statusnet_names_it_and_holds_the_payload(tmp_path: Path) -> None:
    folder = tmp_path / "dead"
    path = write_letter(folder, Letter("ID:host-1\\c2", "alpha", "distrib", b'O:6:"Notice":0:{}', "php"))
    assert path == folder / "alpha-distrib-ID%3Ahost-1%5Cc2"
    assert path.read_bytes() == b'O:6:"Notice":0:{}'
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(folder.iterdir()) == [path]


def test_a_later_letter_of_the_job_replaces_the_file(tmp_path: Path) -> None:
    write_letter(tmp_path, Letter("1", "alpha", "greet", b"a long first body"))
    assert write_letter(tmp_path, Letter("1", "alpha", "greet", b"second")).read_bytes() == b"second"


@pytest.mark.parametrize("part", ["../../x", "/etc/passwd", "a\0b", "..", "\udcff", "é" * 300])
def test_no_name_leaves_the_folder(tmp_path: Path, part: str) -> None:
    for letter in (Letter(part, "s", "q", b""), Letter("1", part, "q", b""), Letter("1", "s", part, b"")):
        assert write_letter(tmp_path, letter).parent == tmp_path
    assert len(list(tmp_path.iterdir())) == 3


def test_long_names_stay_distinct() -> None:
    assert file_name(Letter("x" * 400, "s", "q", b"")) != file_name(Letter("x" * 401, "s", "q", b""))
    assert len(file_name(Letter("x" * 400, "s", "q", b""))) <= 200


def test_a_file_that_can_not_be_finished_leaves_no_half_behind(tmp_path: Path) -> None:
    letter = Letter("1", "alpha", "greet", b"x")
    (tmp_path / file_name(letter)).mkdir()
    with pytest.raises(IsADirectoryError):
        write_letter(tmp_path, letter)
    assert len(list(tmp_path.iterdir())) == 1
