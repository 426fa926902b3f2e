"""A database of sites whose server takes connections and never says a word."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from snqd.config import site_table
from snqd.config.source_reader import SourceReader
from snqd.core.errors import ConfigError, StoreUnavailable
from snqd.stores.sql.blocking import SqlQueue


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


@pytest.mark.parametrize("scheme", ["mariadb+pymysql", "postgresql+psycopg"])
def test_a_silent_database_is_given_up_once_its_time_to_connect_is_over(
    tmp_path: Path, silent_port: int, scheme: str
) -> None:
    queue = SqlQueue(f"{scheme}://snqd@127.0.0.1:{silent_port}/farm?connect_timeout=2", tmp_path)
    started = time.monotonic()
    with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{silent_port}/farm"):
        queue.pauses()
    assert time.monotonic() - started < 10.0
