"""The examples of docs/extending.rst, installed as packages are, and packages that are not so well behaved."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from farm import CHECKOUT, Farm
from waiting import wait_until

EXAMPLES = CHECKOUT / "docs" / "examples"
_SETUP = "import setuptools; setuptools.setup()"


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the example package is installed."""
    copy, installed = tmp_path_factory.mktemp("x") / "copy", tmp_path_factory.mktemp("i")
    shutil.copytree(EXAMPLES, copy)
    for command in (["build_py", "--build-lib", str(installed)], ["install_egg_info", "--install-dir", str(installed)]):
        subprocess.run([sys.executable, "-c", _SETUP, "-q", *command], cwd=copy, check=True, timeout=120)
    return installed


def package(folder: Path, name: str, module: str, entry_points: str) -> Path:
    """Install a package of one module into `folder`."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)
    (folder / f"{name}.py").write_text(module)
    return folder


def reports(farm: Farm) -> dict[str, dict[str, Any]]:
    """What the managers of each child report, by the child's id and pid."""
    children = (child for group in farm.status()["groups"] for child in group["children"])
    return {f"{child['id']} {child['pid']}": child["managers"] for child in children if child["managers"]}


def letters(folder: Path) -> list[str]:
    return sorted(path.read_text() for path in folder.glob("*.txt"))


def test_the_example_of_a_handler_and_of_a_manager_work(
    make_farm: Callable[..., Farm], inbox: Path, tmp_path: Path
) -> None:
    inboxes, others, outbox = (tmp_path / name for name in ("in", "others", "out"))
    for folder in (inboxes / "alpha", inboxes / "beta", others / "alpha", outbox):
        folder.mkdir(parents=True)
    sections = {
        "app:inbox": {"dir": inboxes},
        "app:welcome": {"dir": outbox},
        "handler:welcome": {"greeting": "Welcome back"},
    }
    farm = make_farm(sections=sections, packages=[inbox])
    assert farm.snqctl("check").returncode == 0
    (inboxes / "alpha" / "1.json").write_text('{"name": "Ada"}')
    (inboxes / "beta" / "1.json").write_text('{"name": "Bob"}')
    (inboxes / "beta" / "2.json").write_text("no JSON")
    farm.start()
    wait_until(lambda: len(letters(outbox)) == 2, 30, "two letters")
    assert letters(outbox) == ["Welcome back to alpha.example, Ada!\n", "Welcome back to beta.example, Bob!\n"]
    wait_until(
        lambda: [*reports(farm).values()] == [{"inbox": {"taken": 2, "refused": 1}}], 30, "the report of one child"
    )
    assert [path.name for path in inboxes.rglob("*.*")] == ["2.refused"]
    assert farm.queue("welcome")["handled"] == 2
    assert "main.1: inbox: taken 2, refused 1" in farm.snqctl("status").stdout

    # Its successor begins when it is gone, and follows the configuration.
    before = reports(farm).keys()
    assert farm.snqctl("restart").returncode == 0
    farm.config.write_text(farm.config.read_text().replace(f"dir = {inboxes}\n", f"dir = {others}\n"))
    assert farm.snqctl("update").returncode == 0
    (others / "alpha" / "2.json").write_text('{"name": "Cy"}')
    wait_until(lambda: len(letters(outbox)) == 3, 30, "a letter to Cy")
    wait_until(
        lambda: [*reports(farm).values()] == [{"inbox": {"taken": 1, "refused": 0}}], 30, "the successor's report"
    )
    assert not before & reports(farm).keys()
    assert farm.stop() == 0


UNRULY = """
from snqd.io import IoManager, Scope


class Grumpy(IoManager):
    poll_interval = 1.0

    def __init__(self, context):
        super().__init__()
        self.context = context
        self.polls = 0

    async def poll(self):
        self.polls += 1
        self.context.report({"polls": self.polls})
        if self.polls % 2:
            self.context.report({"too much": "x" * 5000})
        await self.context.enqueue("nowhere", "note", {})

    def idle(self):
        raise RuntimeError("no rest")

    def reloaded(self, added, changed, removed):
        raise RuntimeError("no change")

    def report(self):
        raise RuntimeError("no answer")

    def drain(self, timeout):
        raise RuntimeError("no end")


class OfSite(IoManager):
    scope = Scope.INSTANCE_PER_SITE
    group = "slow"

    def __init__(self, context):
        super().__init__()
        context.report({"site": context.site, "motto": context.sites.get(context.site).config("m", "motto", "")})


class Nowhere(IoManager):
    group = "nowhere"
"""
ENTRIES = "[snqd.io_managers]\n" + "".join(
    f"{name.lower()} = unruly:{name}\n" for name in ("Grumpy", "OfSite", "Nowhere")
)


def test_a_manager_that_fails_at_everything_ends_nothing_else(make_farm: Callable[..., Farm], tmp_path: Path) -> None:
    unruly = package(tmp_path / "packages", "unruly", UNRULY, ENTRIES)
    sections = {"group:slow": {"queues": "later", "children": 1}, "snqd": {"threads": 1}, "sites": {"dir": "sites"}}
    farm = make_farm(sections=sections, packages=[unruly])
    sites = farm.folder / "sites"
    sites.mkdir()
    farm.start()
    pids = farm.child_pids()

    def polls() -> int:
        return int(next((each["grumpy"]["polls"] for each in reports(farm).values() if "grumpy" in each), 0))

    def of_sites() -> list[Any]:
        return [figures for each in reports(farm).values() for name, figures in each.items() if "ofsite" in name]

    wait_until(lambda: polls() >= 3, 60, "polls that go on")
    assert of_sites() == [{"site": "alpha", "motto": ""}, {"site": "beta", "motto": ""}]
    assert [child.split()[0] for child, each in reports(farm).items() if "ofsite:alpha" in each] == ["farm.slow.1"]

    # Sites come, change and go, and so do their managers.
    (sites / "gamma.ini").write_text("[site:gamma]\n")
    wait_until(lambda: {"site": "gamma", "motto": ""} in of_sites(), 30, "a manager of a new site")
    (sites / "gamma.ini").write_text("[site:gamma]\napp.m.motto = onward\n")
    wait_until(lambda: {"site": "gamma", "motto": "onward"} in of_sites(), 30, "the manager of a changed site")
    (sites / "gamma.ini").unlink()
    wait_until(lambda: len(of_sites()) == 2, 30, "the end of a site's manager")

    farm.enqueue("alpha", "note", json.dumps({}))
    wait_until(farm.journal.handled, 30, "a handled job")
    assert farm.child_pids() == pids
    log = farm.log()
    for told in ("poll failed", "idle failed", "reloaded failed"):
        assert f"I/O manager grumpy: {told}" in log
    assert "nowhere = unruly:Nowhere does not run: it belongs to group nowhere" in log
    assert farm.stop() == 0
    assert "I/O manager: drain of grumpy failed" in farm.log()
