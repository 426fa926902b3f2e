"""A real MariaDB for tests."""

from __future__ import annotations

import functools
import shutil
from typing import Any

from tests.servers.database_server import DatabaseServer, need


def _program(name: str) -> str:
    return need(shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin"), "mariadb-server")


class MariaDbServer(DatabaseServer):
    kind = "mariadb"
    user = "mysql"

    def make(self) -> None:
        where = ["--no-defaults", f"--datadir={self.folder / 'data'}"]
        self.run(_program("mariadb-install-db"), *where, "--auth-root-authentication-method=normal", "--skip-test-db")

    def command(self) -> list[str]:
        socket = f"--socket={self.folder / 'socket'}"
        where = [f"--datadir={self.folder / 'data'}", f"--port={self.port}", "--bind-address=127.0.0.1", socket]
        return [_program("mariadbd"), "--no-defaults", *where, f"--pid-file={self.folder / 'pid'}"]

    def say(self, statement: str, database: str = "") -> list[tuple[Any, ...]]:
        import pymysql

        connection = pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", database=database or None, autocommit=True, connect_timeout=5
        )
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def url(self, database: str) -> str:
        return f"mariadb+pymysql://root@127.0.0.1:{self.port}/{database}"


@functools.cache
def mariadb() -> MariaDbServer:
    """The one of this run, started by the first test that needs it."""
    _program("mariadbd")
    server = MariaDbServer()
    server.make()
    server.start()
    return server
