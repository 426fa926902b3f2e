"""Where the sites' ``queue_item`` tables are, by what StatusNet's ``status_network`` says of each site."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import attrs
from sqlalchemy.engine import URL

from snqd.config.settings import Settings, SiteSettings
from snqd.config.site_sections import APP_PREFIX, HANDLERS_PREFIX
from snqd.gnusocial.queue_item_tables import ItemTable

APP = "status_network"
DRIVERS = {
    "mysql": ("mariadb+pymysql", 3306),
    "mysqli": ("mariadb+pymysql", 3306),
    "mariadb": ("mariadb+pymysql", 3306),
    "pgsql": ("postgresql+psycopg", 5432),
    "postgresql": ("postgresql+psycopg", 5432),
}
"""Driver and port, by what StatusNet's ``$config['db']['type']`` may say."""

_HOST = re.compile(r"(?:unix\((?P<socket>/[^()]+)\)|(?P<host>\[[0-9A-Fa-f:.]+\]|[^:()\s/]+)(?::(?P<port>[0-9]{1,5}))?)")

Accounts = Mapping[URL, Sequence[ItemTable]]


@attrs.frozen
class Places:
    """Every table that can be served.

    :ivar servers: by a server's name, then by account there, which a connection is needed for.
    :ivar problems: by site, why its table can't be served.
    """

    servers: Mapping[str, Accounts]
    problems: Mapping[str, str]


def places_of(settings: Settings) -> Places:
    """Where the tables of all sites are that name a database."""
    servers: dict[str, dict[URL, list[ItemTable]]] = {}
    problems: dict[str, str] = {}
    owners: dict[tuple[str, str], str] = {}
    for record in settings.sites.values():
        found = _place(record, settings)
        if isinstance(found, str):
            problems[record.nickname] = found
        elif found is not None:
            server, database, url, table = found
            owner = owners.setdefault((server, database), record.nickname)
            if owner != record.nickname:
                problems[record.nickname] = f"it names the database of site {owner}, whose jobs these stay"
            else:
                servers.setdefault(server, {}).setdefault(url, []).append(table)
    return Places(servers, problems)


def _place(record: SiteSettings, settings: Settings) -> tuple[str, str, URL, ItemTable] | str | None:
    """Server, database, account and table; text that says what is wrong; None for a site that names no database."""

    def said(key: str, app: str = APP) -> str:
        own = record.overrides.get(f"{APP_PREFIX}{app}.{key}")
        return own or settings.apps.get(app, {}).get(key) or ""

    database, queues = said("dbname"), tuple(_served(record, settings))
    if not (database and queues):
        return None
    kind = said("type", "db") or "mysql"
    if kind not in DRIVERS:
        return f"app.db.type {kind!r} is no kind of database: write mysql or pgsql"
    driver, port = DRIVERS[kind]
    where = _HOST.fullmatch(said("dbhost") or "localhost")
    if where is None:
        return f"app.status_network.dbhost {said('dbhost')!r} is no host: write host, host:port or unix(/path)"
    url = URL.create(driver, said("dbuser") or None, said("dbpass") or None)
    if where["socket"]:
        server, url = where["socket"], _by_socket(url, where["socket"])
    else:
        number = int(where["port"] or port)
        server = f"{where['host']}:{number}"
        url = url.set(host=where["host"].strip("[]"), port=number)
    table = ItemTable(record.nickname, database, queues)
    # A connection to PostgreSQL sees one database, one to MariaDB all.
    return server, database, url.set(database=database) if "postgresql" in driver else url, table


def _by_socket(url: URL, path: str) -> URL:
    if url.drivername.startswith("postgresql"):
        return url.update_query_dict({"host": path})
    return url.set(host="localhost").update_query_dict({"unix_socket": path})


def _served(record: SiteSettings, settings: Settings) -> Iterator[str]:
    return (queue for queue in settings.handlers if f"{HANDLERS_PREFIX}{queue}" not in record.overrides)
