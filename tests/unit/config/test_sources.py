"""Sources: reading the files, and handing on what was read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snqd.config.load import load_file
from snqd.config.source_reader import read_sources
from snqd.config.sources import Sources
from snqd.core.errors import ConfigError


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def problems(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_sources(path)
    return caught.value.problems


def test_the_main_file_comes_first_then_the_site_files_by_name(tmp_path: Path) -> None:
    main = write(tmp_path / "snq.ini", "[sites]\ndir = sites.d\n")
    for name in ("b.ini", "a.ini", ".hidden.ini", "a.ini~", "README"):
        write(tmp_path / "sites.d" / name, f"# {name}")
    files = read_sources(main).files
    assert list(files) == [str(main), str(tmp_path / "sites.d/a.ini"), str(tmp_path / "sites.d/b.ini")]
    assert files[str(tmp_path / "sites.d/a.ini")] == "# a.ini"


@pytest.mark.parametrize("text", ["", "[sites]\n", "[sites]\ndir =\n", "[sites\ndir = sites.d\n"])
def test_without_a_folder_there_is_the_main_file_only(tmp_path: Path, text: str) -> None:
    main = write(tmp_path / "snq.ini", text)
    assert read_sources(main) == Sources(main, {str(main): text})


def test_a_relative_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "snq.ini", "")
    monkeypatch.chdir(tmp_path)
    assert read_sources(Path("snq.ini")).path == tmp_path / "snq.ini"


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    main = write(tmp_path / "snq.ini", b"\xef\xbb\xbf[snqd]\n")
    assert read_sources(main).files[str(main)] == "[snqd]\n"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "snq.ini"
    assert problems(path) == [f"{path}: can't be read (No such file or directory): check --config"]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert problems(tmp_path) == [f"{tmp_path}: can't be read (Is a directory): check --config"]


def test_a_path_with_a_nul_is_refused() -> None:
    (problem,) = problems(Path("/etc/\0.ini"))
    assert "can't be read (embedded null byte): check --config" in problem


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "snq.ini", "")
    path.chmod(0)
    assert problems(path) == [f"{path}: can't be read (Permission denied): check --config"]


def test_every_bad_site_file_is_named(tmp_path: Path) -> None:
    main = write(tmp_path / "snq.ini", "[sites]\ndir = d\n")
    latin = write(tmp_path / "d" / "a.ini", b"[site:a]\nname = caf\xe9\n")
    (tmp_path / "d" / "b.ini").symlink_to("nowhere")
    assert problems(main) == [
        f"{latin}:2: is not UTF-8: convert the file",
        f"{tmp_path}/d/b.ini: can't be read (No such file or directory): correct or remove it",
    ]


@pytest.mark.parametrize(("folder", "reason"), [("none", "No such file or directory"), ("snq.ini", "Not a directory")])
def test_a_folder_of_sites_that_cannot_be_listed_is_named(tmp_path: Path, folder: str, reason: str) -> None:
    main = write(tmp_path / "snq.ini", f"[snqd]\n\n[sites]\ndir = {folder}\n")
    assert problems(main) == [
        f"{main}:4: [sites] dir: {tmp_path / folder} can't be listed ({reason}): create the folder or remove the key"
    ]


def test_load_file_reads_and_loads(tmp_path: Path) -> None:
    main = write(tmp_path / "snq.ini", "[sites]\ndir = d\n[site:a]\n")
    write(tmp_path / "d" / "b.ini", "[site:b]\n")
    settings = load_file(main, plugins={})
    assert list(settings.sites) == ["a", "b"]
    assert settings.sites["b"].source == str(tmp_path / "d/b.ini")


@given(st.dictionaries(st.text(), st.text()), st.text())
def test_sources_survive_the_way_to_a_child(files: dict[str, str], text: str) -> None:
    sources = Sources(Path("/etc/snq.ini"), {"/etc/snq.ini": text, **files})
    assert Sources.from_json(sources.to_json()) == sources
    assert list(Sources.from_json(sources.to_json().encode()).files) == list(sources.files)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "1",
        "{}",
        '{"path": 1, "files": {}}',
        '{"path": "/a", "files": {}}',
        '{"path": "/a", "files": {"/a": 1}}',
        "[" * 100_000,
    ],
)
def test_anything_else_is_no_sources(text: str) -> None:
    with pytest.raises(ConfigError, match="these are no sources of a configuration"):
        Sources.from_json(text)


def test_a_digest_tells_names_and_texts_apart_and_nothing_else() -> None:
    path = Path("/f/snq.ini")
    sources = Sources(path, {"/f/snq.ini": "ä", "/f/a.ini": "b"})
    assert sources.digest == Sources(path, {"/f/a.ini": "b", "/f/snq.ini": "ä"}).digest
    others = [{"/f/snq.ini": "ä"}, {"/f/snq.ini": "a", "/f/a.ini": "b"}, {"/f/snq.ini": "ä", "/f/b.ini": "b"}]
    assert len({sources.digest, *(Sources(path, files).digest for files in others)}) == 4


@given(st.dictionaries(st.text(), st.text()))
def test_a_child_makes_the_same_digest_of_what_it_is_handed(files: dict[str, str]) -> None:
    sources = Sources(Path("/f/snq.ini"), {"/f/snq.ini": "", **files})
    assert Sources.from_json(sources.to_json()).digest == sources.digest
