"""What `pip install .` ships: everything of the checkout that runs, the twistd plug-in among it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from snqd.pipe.version import VERSION

CHECKOUT = Path(__file__).resolve().parents[2]
SOURCES = ("snqd", "twisted", "setup.cfg", "pyproject.toml", "README.rst", "LICENSE")
_BUILD = "import setuptools; setuptools.setup()"


def test_the_build_ships_every_module_and_the_plugin(tmp_path: Path) -> None:
    copy = copy_checkout(tmp_path / "copy")
    built = tmp_path / "built"
    subprocess.run(
        [sys.executable, "-c", _BUILD, "-q", "build", "--build-lib", str(built)], cwd=copy, check=True, timeout=120
    )
    assert modules(built) == modules(copy)
    assert Path("twisted/plugins/snqd_plugin.py") in modules(built)


def test_the_package_has_the_version_of_its_code(tmp_path: Path) -> None:
    copy = copy_checkout(tmp_path / "copy")
    told = subprocess.run(
        [sys.executable, "-c", _BUILD, "--version"], cwd=copy, check=True, timeout=120, capture_output=True, text=True
    )
    assert told.stdout.split()[-1] == VERSION


def test_twisted_stays_a_package_of_twisteds_own() -> None:
    assert not list((CHECKOUT / "twisted").rglob("__init__.py")), "an __init__.py would hide Twisted's own plug-ins"


def copy_checkout(copy: Path) -> Path:
    copy.mkdir()
    for name in SOURCES:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__", "dropin.cache"))
        else:
            shutil.copy(source, copy / name)
    return copy


def modules(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for room in ("snqd", "twisted") for path in (folder / room).rglob("*.py")}
