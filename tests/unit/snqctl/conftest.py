from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from snqd.snqctl.main import main
from snqd.stores.morgue.morgue import Letter, SqliteMorgue
from snqd.stores.sqlite.database import QueueDatabase

CONFIG = """
[snqd]
state_dir = state

[handlers]
greet = snqd.demo.Greet
resize = snqd.demo.Resize

[site:alpha]
server = alpha.example

[site:beta]
handlers.resize = off
"""


class Operator:
    """Somebody with a shell and one configuration."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "snq.ini"
        self.config.write_text(CONFIG)
        self.state = folder / "state"
        self.store = QueueDatabase(self.state / "queue.db")
        self.morgue = SqliteMorgue(self.state / "morgue.db")

    def __call__(self, *arguments: object, input: str | bytes | None = None) -> Result:
        result = CliRunner().invoke(main, ["--config", str(self.config), *map(str, arguments)], input=input)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    def json(self, *arguments: object, input: str | bytes | None = None) -> Any:
        return json.loads(self(*arguments, "--json", input=input).stdout)

    def configure(self, text: str) -> None:
        self.config.write_text(self.config.read_text() + text)

    def jobs(self) -> list[tuple[str, str, bytes]]:
        """Site, queue and body of what waits, in the order in which it came."""
        rows = self.store.file.open().execute("SELECT site, queue, body FROM job ORDER BY n")
        return [(site, queue, bytes(body)) for site, queue, body in rows]

    def bury(self, *letters: Letter) -> None:
        self.morgue.bury(letters)


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    operator = Operator(tmp_path)
    yield operator
    operator.store.close()
    operator.morgue.close()
