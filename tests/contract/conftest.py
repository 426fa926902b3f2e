"""The contract suite's fixtures: a queue of each kind in turn, and child processes on it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor

import snqd
from tests.contract.bench import LOOKING, Bench, MariaDbBench, PostgresqlBench, SqlBench, SqliteBench
from tests.contract.child_process import Child
from tests.contract.pushed_bench import ActiveMqBench, BrokerBench, RabbitMqBench

ROOT = Path(snqd.__file__).parents[1]
CHILD = Path(__file__).with_name("child.py")
KINDS = [*LOOKING, RabbitMqBench, ActiveMqBench]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what a store declares not to promise, and on a laptop what needs a server that is not there."""
    for item in items:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        kind = params.get("bench") or params.get("shared") or params.get("broker_bench")
        if kind is not None and (reason := _lacking(item, kind) or kind.missing()):
            item.add_marker(pytest.mark.skip(reason=reason))


def _lacking(item: pytest.Item, kind: type[Bench]) -> str:
    """Why a store does not promise what `item` tries; empty if it does."""
    lacking = kind.store_class.promises.lacking
    promises = [promise for mark in item.iter_markers("promised") for promise in mark.args]
    return "; ".join(lacking[promise] for promise in promises if promise in lacking)


@pytest_twisted.async_yield_fixture(params=KINDS, ids=lambda kind: kind.kind)
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    """Each kind of queue in turn."""
    made = request.param(tmp_path)
    yield made
    await made.close_all()


@pytest_twisted.async_yield_fixture(params=LOOKING[1:], ids=lambda kind: kind.kind)
async def shared(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    """Each kind of queue that several processes share, in turn."""
    made = request.param(tmp_path)
    yield made
    await made.close_all()


@pytest.fixture(params=[PostgresqlBench, MariaDbBench], ids=lambda kind: kind.kind)
def sql_kind(request: pytest.FixtureRequest) -> Any:
    """Each kind of server in turn."""
    return request.param


@pytest_twisted.async_yield_fixture
async def sql_bench(sql_kind: Any, tmp_path: Path) -> AsyncIterator[SqlBench]:
    """A database on it."""
    made = sql_kind(tmp_path)
    made.disks = []
    yield made
    if made.server.process.poll() is not None:
        made.server.start()
    await made.close_all()
    for disk in made.disks:
        disk.remove()


@pytest_twisted.async_yield_fixture
async def sqlite_bench(tmp_path: Path) -> AsyncIterator[SqliteBench]:
    """The embedded queue, for what only it promises."""
    made = SqliteBench(tmp_path)
    yield made
    await made.close_all()


@pytest_twisted.async_yield_fixture(params=[RabbitMqBench, ActiveMqBench], ids=lambda kind: kind.kind)
async def broker_bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BrokerBench]:
    """A farm on each kind of broker."""
    made = request.param(tmp_path)
    yield made
    await made.close_all()


@pytest.fixture
def child() -> Iterator[Callable[..., Child]]:
    """Starts ``child.py ARGUMENT...``; kills at the end what still runs."""
    started: list[Child] = []

    def start(*arguments: object) -> Child:
        protocol = Child()
        argv = [sys.executable, str(CHILD), *map(str, arguments)]
        reactor.spawnProcess(protocol, sys.executable, argv, env={**os.environ, "PYTHONPATH": str(ROOT)})
        started.append(protocol)
        return protocol

    yield start
    for protocol in started:
        if not protocol.ended.called:
            protocol.signal(signal.SIGKILL)
            pytest_twisted.blockon(protocol.ended)
