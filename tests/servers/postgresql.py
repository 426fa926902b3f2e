"""A real PostgreSQL for tests."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path
from typing import Any

from tests.servers.database_server import DatabaseServer, need


def _program(name: str) -> str:
    newest = max(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), default=None, key=lambda path: int(path.parts[-3]))
    return need(str(newest) if newest else shutil.which(name), "postgresql")


class PostgresqlServer(DatabaseServer):
    kind = "postgresql"
    user = "postgres"

    def make(self) -> None:
        data = str(self.folder / "data")
        self.run(_program("initdb"), "-D", data, "-U", "snqd", "-A", "trust", "-E", "UTF8", "--no-sync")

    def copy(self, primary: PostgresqlServer) -> None:
        """Make the data folder as a standby of `primary`."""
        source = ["-h", "127.0.0.1", "-p", str(primary.port), "-U", "snqd", "--checkpoint=fast", "--no-sync"]
        self.run(_program("pg_basebackup"), *source, "-D", str(self.folder / "data"), "--write-recovery-conf")

    def command(self) -> list[str]:
        where = ["-p", str(self.port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        return [_program("postgres"), "-D", str(self.folder / "data"), *where, "-c", "shared_buffers=64MB"]

    def say(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        import psycopg

        with psycopg.connect(
            host="127.0.0.1", port=self.port, user="snqd", dbname=database, autocommit=True, connect_timeout=5
        ) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://snqd@127.0.0.1:{self.port}/{database}"


@functools.cache
def postgresql() -> PostgresqlServer:
    """The one of this run, started by the first test that needs it."""
    _program("postgres")
    server = PostgresqlServer()
    server.make()
    server.start()
    return server
