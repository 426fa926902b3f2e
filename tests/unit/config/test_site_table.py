"""Sites from a status_network table."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.event import listen

from snqd.config import site_table
from snqd.config.load import load
from snqd.config.site_table import READ_EVERY, SiteTable, TableUnreadable, site_text
from snqd.config.sources import Sources
from snqd.sites.registry import SiteRegistry

SCHEMA = """
CREATE TABLE status_network (
    site_id INTEGER PRIMARY KEY, nickname VARCHAR(64) UNIQUE, hostname VARCHAR(255), pathname VARCHAR(255),
    dbhost VARCHAR(255), dbuser VARCHAR(255), dbpass VARCHAR(255), dbname VARCHAR(255),
    sitename VARCHAR(255), theme VARCHAR(255), logo VARCHAR(255), tags TEXT, created DATETIME, modified TIMESTAMP)
"""
INSERT = "INSERT INTO status_network (nickname, hostname, dbname, dbpass, sitename, modified) VALUES (?, ?, ?, ?, ?, ?)"


class Farm:
    """:ivar now: seconds on the table's clock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = 1000.0
        self.database = sqlite3.connect(path, isolation_level=None)
        self.database.execute(SCHEMA)
        self.add("alpha", "alpha.example", "sn_alpha", "a b#c;d", "Alpha & Co", "2026-01-01 00:00:00")
        self.table = SiteTable(f"sqlite:///{path}", lambda: self.now)

    def add(self, *values: Any) -> None:
        self.database.execute(INSERT, values)

    def looks(self, count: int) -> dict[str, str]:
        rows: dict[str, str] = {}
        for _ in range(count):
            self.now += 1
            rows = self.table.look()
        return rows


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    made = Farm(tmp_path / "farm.db")
    yield made
    made.database.close()


def test_a_row_is_a_site_with_its_columns_for_handlers(farm: Farm) -> None:
    farm.add("beta", None, None, None, None, "2026-01-01 00:00:00")
    rows = farm.table.read()
    assert list(rows) == [f"sqlite:///{farm.path}#alpha", f"sqlite:///{farm.path}#beta"]
    main = Path("/f/snq.ini")
    settings = load(Sources(main, {str(main): "[snqd]\nid = t\n", **rows}), plugins={})
    sites = SiteRegistry(settings)
    alpha = sites.get("alpha")
    assert (alpha.server, alpha.name) == ("alpha.example", "Alpha & Co")
    assert alpha.config("status_network", "dbname") == "sn_alpha"
    assert alpha.config("status_network", "dbpass") == "a b#c;d"
    assert alpha.config("status_network", "modified") is None
    assert (sites.get("beta").server, sites.get("beta").name) == ("beta", "beta")


def test_a_value_can_not_break_out_of_its_line() -> None:
    text = site_text({"nickname": "a]\n[snqd", "hostname": "h\n[site:b]\nserver = x", "sitename": None})
    assert text.splitlines() == [
        "[site:a] [snqd]",
        "server = h [site:b] server = x",
        "app.status_network.hostname = h [site:b] server = x",
    ]


def test_an_unchanged_table_is_not_read_again_for_a_while(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    farm.looks(5)
    reads = []
    read = farm.table.read
    monkeypatch.setattr(farm.table, "read", lambda: reads.append(farm.now) or read())
    farm.looks(30)
    assert reads == []
    farm.looks(int(READ_EVERY))
    assert len(reads) == 1


def test_a_look_at_an_sqlite_file_that_nobody_wrote_to_reads_no_row(farm: Farm) -> None:
    farm.looks(5)
    statements: list[str] = []
    listen(farm.table._engine, "before_cursor_execute", lambda *asked: statements.append(asked[2]))
    farm.looks(3)
    assert statements == ["PRAGMA data_version"] * 3


def test_rows_that_are_read_again_and_are_the_same_are_not_made_into_text_again(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = farm.table.read()
    monkeypatch.setattr(site_table, "site_text", None)
    assert farm.table.read() is before


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO status_network (nickname, modified) VALUES ('beta', '2020-01-01')",
        "DELETE FROM status_network",
        "UPDATE status_network SET sitename = 'B', modified = '2026-01-01 00:00:01'",
    ],
)
def test_a_change_is_there_at_the_next_look(farm: Farm, change: str) -> None:
    before = dict(farm.looks(5))
    farm.database.execute(change)
    assert farm.looks(1) != before


def test_a_second_change_within_the_same_second_is_seen_too(farm: Farm) -> None:
    farm.looks(5)
    for name in ("B", "C"):
        farm.database.execute("UPDATE status_network SET sitename = ?, modified = '2026-01-01 00:00:01'", (name,))
        (text,) = farm.looks(1).values()
        assert f"name = {name}" in text


def test_a_table_without_times_is_read_once_in_a_while(farm: Farm) -> None:
    farm.database.execute("ALTER TABLE status_network DROP COLUMN modified")
    farm.looks(5)
    farm.database.execute("UPDATE status_network SET sitename = 'B'")
    (text,) = farm.looks(int(READ_EVERY) + 1).values()
    assert "name = B" in text


def test_rows_that_stay_are_the_same_objects(farm: Farm) -> None:
    (before,) = farm.table.read().values()
    farm.add("beta", None, None, None, None, None)
    assert next(iter(farm.table.read().values())) is before


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("nonsense", "no database can be reached by this URL"),
        ("nosuch://x/y", "no database can be reached by this URL"),
    ],
)
def test_a_url_that_is_none_is_refused(url: str, why: str) -> None:
    with pytest.raises(TableUnreadable, match=why):
        SiteTable(url)


@pytest.mark.parametrize("scheme", ["mysql", "mariadb", "postgresql", "mysql+pymysql"])
def test_a_url_without_a_driver_means_the_one_that_snqd_brings(scheme: str) -> None:
    assert SiteTable(f"{scheme}://u@h/farm").url == f"{scheme}://u@h/farm"


def test_a_missing_table_is_told_and_its_password_is_not(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "empty.db").close()
    table = SiteTable(f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(TableUnreadable, match="no such table: status_network"):
        table.read()
    with pytest.raises(TableUnreadable):
        table.look()
