"""The store that the configuration asks for, and no other, is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

PROGRAM = """
import sys
from pathlib import Path
from random import Random
from twisted.internet.testing import MemoryReactorClock
from snqd.config.load import load_file
from snqd.stores.factory import make_queue, make_store

settings = load_file(Path(sys.argv[1]), plugins={})
make_store(MemoryReactorClock(), settings, "one", lambda name: (), Random())
make_queue(settings)
print(*sorted({"txredisapi", "redis", "sqlalchemy", "psycopg", "pymysql"} & sys.modules.keys()))
"""


@pytest.mark.parametrize(
    ("lines", "loaded"),
    [
        ("", ""),
        ("subsystem = redis\nredis = redis://127.0.0.1:1/0\n", "redis txredisapi"),
        ("db = postgresql://127.0.0.1:1/snqd\n", "sqlalchemy"),
        ("db = mariadb://127.0.0.1:1/snqd\n", "sqlalchemy"),
    ],
    ids=["db", "redis", "postgresql", "mariadb"],
)
def test_only_the_configured_stores_modules_are_loaded(tmp_path: Path, lines: str, loaded: str) -> None:
    config = tmp_path / "snq.ini"
    config.write_text(f"[queue]\n{lines}[handlers]\ngreet = snqd.demo.Greet\n[site:alpha]\n")
    command = [sys.executable, "-c", PROGRAM, str(config)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == loaded
