"""Where queue_item tables are, by what the sites' settings say."""

from __future__ import annotations

from pathlib import Path

import pytest

from snqd.config.load import load
from snqd.config.settings import Settings
from snqd.config.sources import Sources
from snqd.gnusocial.queue_item_places import Places, places_of

HANDLERS = "[handlers]\nping = a.Class\ndistrib = a.Class\n"
ACCOUNT = "app.status_network.dbhost = db1\napp.status_network.dbuser = gs\napp.status_network.dbpass = p@ss\n"


def settings_of(config: str) -> Settings:
    path = Path("/etc/snq.ini")
    return load(Sources(path, {str(path): HANDLERS + config}), plugins={})


def places(config: str) -> Places:
    return places_of(settings_of(config))


def shown(found: Places) -> dict[str, dict[str, list[str]]]:
    return {
        server: {
            url.render_as_string(hide_password=False): [f"{table.site} {table.database}" for table in tables]
            for url, tables in accounts.items()
        }
        for server, accounts in found.servers.items()
    }


def test_sites_of_one_account_share_a_connection_and_servers_are_apart() -> None:
    found = places(
        f"[site:one]\n{ACCOUNT}app.status_network.dbname = one\n"
        f"[site:two]\n{ACCOUNT}app.status_network.dbname = two\n"
        "[site:three]\napp.status_network.dbname = three\napp.status_network.dbhost = db1\n"
        "[site:four]\napp.status_network.dbname = four\napp.status_network.dbhost = db2:3307\n"
        "[site:none]\n"
    )
    assert found.problems == {}
    assert shown(found) == {
        "db1:3306": {
            "mariadb+pymysql://gs:p%40ss@db1:3306": ["one one", "two two"],
            "mariadb+pymysql://db1:3306": ["three three"],
        },
        "db2:3307": {"mariadb+pymysql://db2:3307": ["four four"]},
    }


def test_what_holds_for_all_sites_may_stand_in_the_apps_sections() -> None:
    found = places(
        "[app:status_network]\ndbhost = [::1]\ndbuser = gs\n[app:db]\ntype = pgsql\n"
        "[site:one]\napp.status_network.dbname = one\n[site:two]\napp.status_network.dbname = two\n"
    )
    assert shown(found) == {
        "[::1]:5432": {
            "postgresql+psycopg://gs@[::1]:5432/one": ["one one"],
            "postgresql+psycopg://gs@[::1]:5432/two": ["two two"],
        }
    }


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("mysqli", "mariadb+pymysql://localhost?unix_socket=%2Frun%2Fmy.sock"),
        ("pgsql", "postgresql+psycopg:///one?host=%2Frun%2Fmy.sock"),
    ],
)
def test_a_server_may_be_a_socket(kind: str, url: str) -> None:
    found = places(
        f"[app:db]\ntype = {kind}\n"
        "[site:one]\napp.status_network.dbname = one\napp.status_network.dbhost = unix(/run/my.sock)\n"
    )
    assert shown(found) == {"/run/my.sock": {url: ["one one"]}}


def test_only_queues_that_the_site_has_handlers_for_are_served() -> None:
    found = places(
        "[site:one]\napp.status_network.dbname = one\n"
        "[site:two]\napp.status_network.dbname = two\nhandlers.ping = off\n"
    )
    ((one, two),) = found.servers["localhost:3306"].values()
    assert (one.queues, two.queues) == (("ping", "distrib"), ("distrib",))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("app.status_network.dbhost = db1:x\n", "dbhost 'db1:x' is no host"),
        ("app.db.type = oracle\n", "app.db.type 'oracle'"),
        ("app.status_network.dbname = one\n", "the database of site one"),
    ],
)
def test_what_cannot_be_served_is_told_and_keeps_nobody_else(keys: str, words: str) -> None:
    name = "" if "dbname" in keys else "app.status_network.dbname = two\n"
    found = places(f"[site:one]\napp.status_network.dbname = one\n[site:two]\n{name}{keys}")
    assert [table.site for tables in found.servers["localhost:3306"].values() for table in tables] == ["one"]
    assert words in found.problems["two"]


def test_no_handlers_no_tables() -> None:
    path = Path("/etc/snq.ini")
    config = "[site:one]\napp.status_network.dbname = one\n"
    assert places_of(load(Sources(path, {str(path): config}), plugins={})).servers == {}
