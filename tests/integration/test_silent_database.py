"""A database of sites whose server takes connections and never says a word."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from snqd.config import site_table
from snqd.config.source_reader import SourceReader
from snqd.core.errors import ConfigError


@pytest.fixture
def silent_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


# PyMySQL has one time for the connection and another for each answer, the greeting included.
@pytest.mark.parametrize(("scheme", "query"), [("mysql", ""), ("postgresql", "?connect_timeout=1")])
def test_reading_the_sites_ends_with_an_error_that_says_where_and_what_to_do(
    tmp_path: Path, silent_port: int, monkeypatch: pytest.MonkeyPatch, scheme: str, query: str
) -> None:
    monkeypatch.setattr(site_table, "CONNECT_TIMEOUT", 1)
    place = f"127.0.0.1:{silent_port}/farm{query}"
    main = tmp_path / "snq.ini"
    main.write_text(f"[sites]\ndatabase = {scheme}://snqd:secret@{place}\n")
    with pytest.raises(ConfigError) as caught:
        SourceReader(main).read()
    message = str(caught.value)
    assert message.startswith(
        f"{main}:2: [sites] database: the table status_network of {scheme}://snqd:***@{place} can't be read: "
    )
    assert message.endswith(
        "see whether this is the right database, can be reached from here, and lets this user read the table"
    )
    assert "time" in message
    assert "secret" not in message
