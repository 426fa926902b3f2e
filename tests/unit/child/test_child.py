"""The child, without a process: boot, heartbeats, requests of its parent, and every way out."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from snqd.child.child import ANSWER_TIMEOUT, LEAST_TO_END, Child
from snqd.child.command_listener import CommandListener
from snqd.child.farm_lease_keeper import FarmLeaseKeeper
from snqd.child.parts import Parts
from snqd.child.pulse import MOST_ROWS
from snqd.child.single_process_timeout import PATIENCE
from snqd.child.unknown_sites import UnknownSites
from snqd.config.sources import SourceChanges, Sources
from snqd.core.clocks import BootTime
from snqd.core.counters import Counters
from snqd.core.errors import StoreUnavailable
from snqd.core.farm_lease import FREE, LOOKS, SAFE_SHARE, FarmLease, Holding
from snqd.handlers.loading import HandlerLoadError
from snqd.io.interface import Scope
from snqd.io.io_manager import IoManager
from snqd.io.io_master import IoMaster
from snqd.pipe import commands, exit_codes
from snqd.pipe.child_spec import ChildSpec
from snqd.pipe.version import VERSION
from tests.unit.child.test_farm_lease_keeper import LEASE, Leases


class Reactor(MemoryReactorClock):
    """Runs the shutdown triggers when it is stopped; `stopped` when they are through."""

    def __init__(self) -> None:
        super().__init__()
        self.triggers: list[Any] = []
        self.stops = 0
        self.stopped = False

    def addSystemEventTrigger(self, phase: str, event: str, call: Any, *arguments: Any) -> Any:
        self.triggers.append(call)

    def stop(self) -> None:
        self.stops += 1
        self.callLater(0, self._shut_down)

    def _shut_down(self) -> None:
        maybeDeferred(self.triggers[0]).addCallback(lambda _: setattr(self, "stopped", True))


class Manager(IoManager):
    def __init__(self) -> None:
        super().__init__()
        self.started: Deferred[Any] = succeed(None)
        self.drained: Deferred[Any] = succeed(None)
        self.notes: list[str] = []

    def start(self, master: Any) -> Deferred[Any]:
        super().start(master)
        return self.started

    def drain(self, timeout: float) -> Deferred[Any]:
        self.notes.append(f"drain {timeout}")
        return self.drained

    def stop(self) -> Deferred[Any]:
        self.notes.append("stop")
        return succeed(None)


class Parent(commands.Channel):
    """The parent's end: notes what it is told."""

    def __init__(self) -> None:
        super().__init__(
            {
                commands.Ready: self.ready,
                commands.BootFailed: lambda message, traceback: self.heard.append(("boot failed", message, traceback)),
                commands.RefreshSites: self.refresh,
                commands.Heard: lambda body, way: self.heard.append(("heard", body, way)),
                commands.Heartbeat: lambda report, counters: self.heard.append(("beat", report, counters)),
            }
        )
        self.heard: list[Any] = []
        self.refreshes = 0

    def ready(self, version: str, digest: str) -> str:
        self.heard.append(("ready", version))
        self.digest = digest
        return version

    def refresh(self) -> None:
        self.refreshes += 1

    def told(self, what: str) -> list[Any]:
        return [each for each in self.heard if each[0] == what]


class Switched:
    """Another configuration: notes what becomes of it."""

    def __init__(self, settings: Any, notes: list[str]) -> None:
        self.settings = settings
        self.notes = notes

    def commit(self) -> None:
        self.notes.append(f"commit {self.settings.daemon.drain_timeout:g}")

    def drop(self) -> None:
        self.notes.append(f"drop {self.settings.daemon.drain_timeout:g}")


class ControlChannel:
    """Where commands to all daemons are heard."""

    stopped = False

    def start(self, heard: Callable[[bytes, str], Any], up: Callable[[], Any]) -> None:
        self.heard, self.up = heard, up

    def stop(self) -> Deferred[Any]:
        self.stopped = True
        return succeed(None)


class Nursery:
    """A child over pipes in memory."""

    def __init__(self, folder: Path, role: str = "normal", version: str = VERSION, standby: bool = False) -> None:
        path = folder / "snq.ini"
        sources = Sources(path, {str(path): "[snqd]\nid = t\ndrain_timeout = 7\n"})
        self.spec = ChildSpec(version, sources.to_json(), None, None, "main", 1, "t.main.1", "t.main.1-x", role)
        self.spec = attrs.evolve(self.spec, standby=standby)
        self.reactor = Reactor()
        self.manager = Manager()
        self.counters = Counters()
        self.recoveries: list[Any] = []
        self.recovery: Any = 3
        self.wakes = 0
        self.build_error: Exception | None = None
        self.prepare_error: Exception | None = None
        self.switched: list[str] = []
        self.parent = Parent()
        self.once: FarmLeaseKeeper | None = None
        self.ends: list[float] = []
        self.child = Child(self.reactor, self.spec, self._build, end_within=self.ends.append)
        self.to_child, self.to_parent = StringTransport(), StringTransport()
        self.parent.makeConnection(self.to_child)
        self.child.channel.makeConnection(self.to_parent)

    def _build(self, reactor: Any, settings: Any, spec: Any, parent: Any) -> Parts:
        if self.build_error is not None:
            raise self.build_error
        self.missed = UnknownSites(reactor, parent.refresh_sites)
        self.channel = ControlChannel()
        listener = CommandListener(self.channel, parent.heard, parent.refresh_sites)
        master = IoMaster(reactor, [*([self.once] if self.once else []), self.manager, listener])
        at_work = {commands.Recover: self._recover, commands.Wake: self._wake}
        return Parts(master, self.counters, at_work, [self], self.once)

    def on(self, leases: Leases) -> Nursery:
        """Give it a keeper, for a store that others share."""
        lease = FarmLease("me", LEASE, lambda: BootTime(self.reactor.seconds()))
        self.once = FarmLeaseKeeper(self.reactor, leases, leases.in_thread, "group:x", lease, LEASE)
        return self

    def prepare(self, settings: Any) -> Any:
        """It takes part in changes of the configuration itself."""
        if self.prepare_error is not None:
            raise self.prepare_error
        return Switched(settings, self.switched)

    def _recover(self, owner: str, suspects: list[str], cause: str) -> Any:
        self.recoveries.append((owner, suspects, cause))
        return self.recovery

    def _wake(self) -> None:
        self.wakes += 1

    def pump(self) -> None:
        while self.to_child.value() or self.to_parent.value():
            for transport, end in ((self.to_child, self.child.channel), (self.to_parent, self.parent)):
                data = transport.value()
                transport.clear()
                end.dataReceived(data)

    def seconds(self, count: float) -> None:
        for _ in range(int(count * 8)):
            self.reactor.advance(0.125)
            self.pump()

    def begun(self) -> Nursery:
        self.child.start()
        self.pump()
        return self

    def ask(self, command: Any, **arguments: Any) -> Any:
        answers: list[Any] = []
        self.parent.ask(command, **arguments).addBoth(answers.append)
        self.pump()
        return answers[0] if answers else None


@pytest.fixture
def leases() -> Leases:
    return Leases()


@pytest.fixture
def nursery(tmp_path: Path) -> Nursery:
    return Nursery(tmp_path)


def test_a_child_says_that_it_is_ready_with_its_version(nursery: Nursery) -> None:
    nursery.begun()
    assert nursery.parent.told("ready") == [("ready", VERSION)]


def test_a_child_says_which_configuration_it_has(nursery: Nursery) -> None:
    nursery.begun()
    assert nursery.parent.digest == Sources.from_json(nursery.spec.sources).digest


def test_it_beats_from_its_boot_on_once_a_second(nursery: Nursery) -> None:
    nursery.manager.started = Deferred()
    nursery.begun()
    assert nursery.parent.told("ready") == []
    assert nursery.parent.told("beat")[0][1]["state"] == "init"
    nursery.seconds(3)
    assert len(nursery.parent.told("beat")) == 4


def test_who_is_ready_was_not_seen_to_boot_last(nursery: Nursery) -> None:
    nursery.begun()
    told = [each[0] for each in nursery.parent.heard]
    assert nursery.parent.heard[told.index("ready") - 1][0] == "beat"
    assert nursery.parent.heard[told.index("ready") - 1][1]["state"] != "init"


def test_a_beat_tells_of_many_sites_by_and_by_and_the_last_one_of_all(nursery: Nursery) -> None:
    nursery.begun()
    for number in range(2 * MOST_ROWS + 1):
        nursery.counters.of("q", f"site{number}").handled += 1
    nursery.seconds(1.5)
    assert len(nursery.parent.told("beat")[-1][2]) == MOST_ROWS
    nursery.ask(commands.Stop)
    nursery.pump()
    nursery.seconds(0.125)
    assert sum(len(beat[2]) for beat in nursery.parent.told("beat")) == 2 * MOST_ROWS + 1


def test_a_beat_carries_report_and_counters(nursery: Nursery) -> None:
    nursery.begun()
    nursery.counters.of("q", "alpha").handled += 2
    nursery.counters.settled += 2
    nursery.seconds(1.5)
    counted = [beat for beat in nursery.parent.told("beat") if beat[2]]
    ((_, report, counters),) = counted
    assert counters == [["q", "alpha", 0, 2, 0, 0, 0.0]]
    assert (report["handled"], report["settled"], report["in_flight"]) == (2, 2, 0)
    assert report["rss_bytes"] > 1_000_000
    nursery.seconds(1)
    assert nursery.parent.told("beat")[-1][1]["handled"] == 2


def test_the_first_settled_job_is_told_at_once(nursery: Nursery) -> None:
    nursery.begun()
    nursery.counters.settled += 1
    nursery.seconds(0.25)
    assert nursery.parent.told("beat")[-1][1]["settled"] == 1


def test_a_boot_failure_is_told_with_its_cause(nursery: Nursery) -> None:
    nursery.build_error = StoreUnavailable("disk full")
    nursery.begun()
    ((_, message, traceback),) = nursery.parent.told("boot failed")
    assert message == "disk full"
    assert "StoreUnavailable" in traceback
    assert "in _build" in traceback
    assert nursery.reactor.stops == 1
    assert nursery.child.exit_code == 1


def test_an_error_of_somebody_elses_code_is_told_with_its_type(nursery: Nursery) -> None:
    nursery.build_error = KeyError("colour")
    nursery.begun()
    assert nursery.parent.told("boot failed")[0][1] == "KeyError: 'colour'"


def test_a_manager_that_can_not_start_is_told_with_both_tracebacks(nursery: Nursery) -> None:
    nursery.manager.started = fail(ConnectionRefusedError("no broker"))
    nursery.begun()
    ((_, message, traceback),) = nursery.parent.told("boot failed")
    assert message == "I/O manager Manager failed to start: no broker"
    assert "ConnectionRefusedError: no broker" in traceback


def test_a_parent_that_does_not_answer_can_not_keep_a_child_that_failed(nursery: Nursery) -> None:
    nursery.build_error = StoreUnavailable()
    nursery.child.start()
    assert nursery.reactor.stops == 0
    nursery.reactor.advance(ANSWER_TIMEOUT)
    assert nursery.reactor.stops == 1


def test_a_parent_of_another_version_is_refused(tmp_path: Path) -> None:
    nursery = Nursery(tmp_path, version="0.0.1").begun()
    assert nursery.parent.told("boot failed")[0][1] == (
        f"the daemon runs snqd 0.0.1, but snqd {VERSION} is installed by now: the children that run go on; "
        "stop and start the daemon to bring up the new version"
    )


def test_stop_drains_and_tells_the_last_counts(nursery: Nursery) -> None:
    nursery.begun()
    nursery.manager.drained = Deferred()
    nursery.ask(commands.Stop)
    nursery.seconds(1)
    assert nursery.manager.notes == ["drain 7.0"]
    nursery.counters.of("q", "alpha").handled += 1
    nursery.manager.drained.callback(None)
    nursery.pump()
    nursery.seconds(0.125)
    assert nursery.manager.notes == ["drain 7.0", "stop"]
    assert nursery.parent.told("beat")[-1][2] == [["q", "alpha", 0, 1, 0, 0, 0.0]]
    assert nursery.reactor.stopped
    assert nursery.child.exit_code == 0


def test_it_beats_while_it_drains(nursery: Nursery) -> None:
    nursery.begun()
    nursery.manager.drained = Deferred()
    nursery.ask(commands.Stop)
    before = len(nursery.parent.told("beat"))
    nursery.seconds(3)
    assert len(nursery.parent.told("beat")) == before + 3
    assert nursery.parent.told("beat")[-1][1]["state"] == "shutdown"


def test_a_stop_during_the_boot_gives_the_boot_up(nursery: Nursery) -> None:
    nursery.manager.started = Deferred()
    nursery.begun()
    nursery.child.leave(0)
    nursery.seconds(ANSWER_TIMEOUT + 0.5)
    assert nursery.reactor.stopped
    assert nursery.parent.told("boot failed") == []


def test_the_parents_death_makes_it_drain(nursery: Nursery, monkeypatch: pytest.MonkeyPatch) -> None:
    silenced: list[int] = []
    monkeypatch.setattr(os, "dup2", lambda source, target: silenced.append(target))
    nursery.begun()
    nursery.child.channel.connectionLost(Failure(ConnectionDone()))
    nursery.reactor.advance(0)
    assert nursery.manager.notes == ["drain 7.0", "stop"]
    assert nursery.reactor.stopped
    assert silenced == [1, 2]


def test_a_manager_can_end_the_process_and_the_first_exit_code_counts(nursery: Nursery) -> None:
    nursery.begun()
    assert nursery.manager.master is not None
    nursery.manager.master.leave(101)
    nursery.child.leave(0)
    assert nursery.child.exit_code == 101
    assert nursery.reactor.stops == 1


def test_recover_answers_when_the_store_has_done_it(nursery: Nursery) -> None:
    nursery.begun()
    done: Deferred[int] = Deferred()
    nursery.recovery = done
    answers: list[Any] = []
    asked = nursery.parent.ask(commands.Recover, owner="o", suspects=["j"], cause="killed")
    asked.addCallback(answers.append)
    nursery.pump()
    assert nursery.recoveries == [("o", ["j"], "killed")]
    assert answers == []
    done.callback(4)
    nursery.pump()
    assert answers == [{"freed": 4}]


def test_recover_fails_with_the_stores_words_and_the_channel_lives_on(nursery: Nursery) -> None:
    nursery.begun()
    nursery.recovery = fail(StoreUnavailable("disk full"))
    failure = nursery.ask(commands.Recover, owner="o", suspects=[], cause="killed")
    assert failure.check(commands.CommandFailed)
    assert failure.getErrorMessage() == "disk full"
    assert nursery.ask(commands.Report)["report"]["state"] == "listening"


def test_recover_before_it_is_up_is_refused(nursery: Nursery) -> None:
    nursery.manager.started = Deferred()
    nursery.begun()
    assert nursery.ask(commands.Recover, owner="o", suspects=[], cause="c").check(commands.CommandFailed)
    assert nursery.recoveries == []


def test_wake_reaches_the_parts(nursery: Nursery) -> None:
    nursery.begun()
    nursery.ask(commands.Wake)
    assert nursery.wakes == 1


def test_a_solo_child_leaves_when_it_has_had_nothing_to_do(tmp_path: Path) -> None:
    nursery = Nursery(tmp_path, role="solo").begun()
    nursery.seconds(PATIENCE - 1)
    assert nursery.reactor.stops == 0
    nursery.seconds(3)
    assert nursery.reactor.stopped
    assert nursery.child.exit_code == 0


def test_a_normal_child_stays(nursery: Nursery) -> None:
    nursery.begun()
    nursery.seconds(2 * PATIENCE)
    assert nursery.reactor.stops == 0


def change(nursery: Nursery, drain_timeout: int, more: str = "") -> dict[str, Any]:
    """Prepare with another main file; returns the answer."""
    path = json.loads(nursery.spec.sources)["path"]
    text = f"[snqd]\nid = t\ndrain_timeout = {drain_timeout}\n{more}"
    changes = SourceChanges({path: text}).to_json()
    return dict(nursery.ask(commands.Prepare, changes=changes, digest=f"d{drain_timeout}", check=[]))


def test_another_configuration_is_prepared_and_then_committed(nursery: Nursery) -> None:
    nursery.begun()
    assert change(nursery, 9) == {"problems": [], "traceback": ""}
    assert nursery.switched == []
    assert nursery.ask(commands.Commit, digest="d9") == {"digest": "d9"}
    assert nursery.switched == ["commit 9"]
    nursery.ask(commands.Stop)
    nursery.seconds(1)
    assert nursery.manager.notes == ["drain 9.0", "stop"]


def test_what_was_prepared_is_dropped_by_the_next_and_on_request(nursery: Nursery) -> None:
    nursery.begun()
    change(nursery, 9)
    change(nursery, 10)
    nursery.ask(commands.Drop)
    assert nursery.ask(commands.Commit, digest="d10").check(commands.CommandFailed)
    assert nursery.switched == ["drop 9", "drop 10"]


def test_a_wrong_configuration_is_answered_with_its_problems(nursery: Nursery) -> None:
    nursery.begun()
    answer = change(nursery, 9, "[nope]\n")
    assert len(answer["problems"]) == 1
    assert "[nope]: unknown section" in answer["problems"][0]


def test_a_handler_that_can_not_be_loaded_is_answered_with_its_traceback(nursery: Nursery) -> None:
    nursery.begun()
    nursery.prepare_error = HandlerLoadError("mail", "mail: can't import", "Traceback: here")
    assert change(nursery, 9) == {"problems": ["mail: can't import"], "traceback": "Traceback: here"}
    nursery.prepare_error = KeyError("colour")
    answer = change(nursery, 9)
    assert answer["problems"] == ["KeyError('colour')"]
    assert "in prepare" in answer["traceback"]
    assert nursery.ask(commands.Commit, digest="d9").check(commands.CommandFailed)
    assert nursery.switched == []


def test_handlers_of_other_groups_need_only_be_importable(nursery: Nursery) -> None:
    nursery.begun()
    path = json.loads(nursery.spec.sources)["path"]
    text = "[snqd]\nid = t\n[handlers]\ngood = snqd.demo.Greet\nbad = snqd.demo.Nope\n"
    changes = SourceChanges({path: text}).to_json()
    assert nursery.ask(commands.Prepare, changes=changes, digest="d", check=["good"])["problems"] == []
    (problem,) = nursery.ask(commands.Prepare, changes=changes, digest="d", check=["good", "bad"])["problems"]
    assert "can't import snqd.demo.Nope" in problem


def test_a_child_that_waits_starts_nothing_before_it_takes_over(tmp_path: Path) -> None:
    nursery = Nursery(tmp_path, role="exclusive", standby=True).begun()
    assert nursery.parent.told("ready")
    assert nursery.manager.master is None
    assert nursery.ask(commands.Recover, owner="o", suspects=[], cause="c").check(commands.CommandFailed)
    nursery.ask(commands.TakeOver)
    assert nursery.manager.master is not None
    assert nursery.ask(commands.Recover, owner="o", suspects=[], cause="c") == {"freed": 3}


def test_a_child_that_waits_and_then_can_not_start_is_a_boot_failure(tmp_path: Path) -> None:
    nursery = Nursery(tmp_path, role="exclusive", standby=True).begun()
    nursery.manager.started = fail(ConnectionRefusedError("no broker"))
    nursery.ask(commands.TakeOver)
    ((_, message, _),) = nursery.parent.told("boot failed")
    assert message == "I/O manager Manager failed to start: no broker"
    assert nursery.child.exit_code == 1


def test_of_a_normal_child_that_waits_only_what_runs_once_waits(tmp_path: Path) -> None:
    nursery = Nursery(tmp_path, standby=True).begun()
    assert nursery.manager.master is not None
    single = Nursery(tmp_path, standby=True)
    single.manager.scope = Scope.SINGLE_ONLY
    single.begun()
    assert single.manager.master is None
    single.ask(commands.TakeOver)
    assert single.manager.master is not None


def reports(nursery: Nursery) -> list[str]:
    return [report["state"] for _, report, _ in nursery.parent.told("beat")]


def test_a_child_that_finds_its_lease_free_comes_up_at_work(tmp_path: Path, leases: Leases) -> None:
    nursery = Nursery(tmp_path, role="exclusive").on(leases).begun()
    assert nursery.parent.told("ready")
    assert nursery.manager.master is not None
    assert nursery.ask(commands.Recover, owner="o", suspects=[], cause="c") == {"freed": 3}
    assert reports(nursery)[-1] != "standby"
    assert nursery.parent.told("beat")[-1][1]["holder"] == "me"


def test_a_child_whose_lease_another_host_has_is_up_beats_and_starts_nothing(tmp_path: Path, leases: Leases) -> None:
    leases.kept["group:x"] = Holding("other", 7)
    nursery = Nursery(tmp_path, role="exclusive").on(leases).begun()
    assert nursery.parent.told("ready")
    nursery.seconds(LEASE - 1)
    assert nursery.manager.master is None
    assert reports(nursery)[-1] == "standby"
    assert nursery.parent.told("beat")[-1][1]["holder"] == "other"
    assert nursery.ask(commands.Recover, owner="o", suspects=[], cause="c").check(commands.CommandFailed)
    nursery.seconds(2)
    assert nursery.manager.master is not None
    assert reports(nursery)[-1] != "standby"
    assert nursery.ask(commands.Recover, owner="o", suspects=[], cause="c") == {"freed": 3}


def test_of_a_normal_child_only_what_runs_once_waits_for_the_lease(tmp_path: Path, leases: Leases) -> None:
    leases.kept["group:x"] = Holding("other", 7)
    nursery = Nursery(tmp_path).on(leases).begun()
    assert nursery.manager.master is not None
    assert nursery.ask(commands.Recover, owner="o", suspects=[], cause="c") == {"freed": 3}
    single = Nursery(tmp_path).on(leases)
    single.manager.scope = Scope.SINGLE_ONLY
    single.begun()
    assert single.ask(commands.Recover, owner="o", suspects=[], cause="c") == {"freed": 3}
    assert single.manager.master is None
    single.seconds(LEASE + 1)
    assert single.manager.master is not None
    assert "standby" not in reports(single)


@pytest.mark.parametrize("lease_first", [False, True])
def test_a_fresh_child_needs_both_the_lease_and_its_turn(tmp_path: Path, leases: Leases, lease_first: bool) -> None:
    leases.kept["group:x"] = Holding("other", 7)
    nursery = Nursery(tmp_path, role="exclusive", standby=True).on(leases).begun()
    steps = [lambda: nursery.seconds(LEASE + 1), lambda: nursery.ask(commands.TakeOver)]
    for step in steps if lease_first else steps[::-1]:
        assert nursery.manager.master is None
        step()
    assert nursery.manager.master is not None


def test_a_fresh_child_looks_at_once_when_it_takes_over(tmp_path: Path, leases: Leases) -> None:
    leases.kept["group:x"] = Holding("old", 7)
    nursery = Nursery(tmp_path, role="exclusive", standby=True).on(leases).begun()
    leases.kept["group:x"] = Holding(FREE, 8)
    assert nursery.manager.master is None
    nursery.ask(commands.TakeOver)
    assert nursery.manager.master is not None


def test_a_child_that_loses_its_lease_is_gone_before_another_begins(tmp_path: Path, leases: Leases) -> None:
    nursery = Nursery(tmp_path, role="exclusive").on(leases).begun()
    leases.trouble = StoreUnavailable("away")
    nursery.seconds(LEASE)
    assert nursery.reactor.stopped
    assert nursery.child.exit_code == exit_codes.RESTART
    (drain,) = [float(note.removeprefix("drain ")) for note in nursery.manager.notes if note.startswith("drain")]
    assert 0 < drain <= LEASE * (1 - SAFE_SHARE) / 2
    assert len(nursery.ends) == 1
    assert drain < nursery.ends[0] <= LEASE * (1 - SAFE_SHARE)


def test_a_child_whose_lease_another_has_taken_leaves_at_once(tmp_path: Path, leases: Leases) -> None:
    nursery = Nursery(tmp_path, role="exclusive").on(leases).begun()
    leases.kept["group:x"] = Holding("other", 99)
    nursery.seconds(LEASE / LOOKS + 1)
    assert nursery.reactor.stopped
    assert nursery.child.exit_code == exit_codes.RESTART
    assert nursery.manager.notes == ["drain 0.0", "stop"]
    assert nursery.ends == [LEAST_TO_END]
    assert leases.kept["group:x"].holder == "other"


def test_a_child_that_stops_gives_its_lease_back_and_needs_no_hard_end(tmp_path: Path, leases: Leases) -> None:
    nursery = Nursery(tmp_path, role="exclusive").on(leases).begun()
    nursery.ask(commands.Stop)
    nursery.seconds(1)
    assert nursery.reactor.stopped
    assert nursery.manager.notes == ["drain 7.0", "stop"]
    assert leases.kept["group:x"].holder == FREE
    assert nursery.ends == []


def test_a_child_that_begins_late_and_can_not_start_is_a_boot_failure(tmp_path: Path, leases: Leases) -> None:
    leases.kept["group:x"] = Holding("other", 7)
    nursery = Nursery(tmp_path, role="exclusive").on(leases).begun()
    nursery.manager.started = fail(ConnectionRefusedError("no broker"))
    nursery.seconds(LEASE + 1)
    ((_, message, _),) = nursery.parent.told("boot failed")
    assert message == "I/O manager Manager failed to start: no broker"
    assert nursery.child.exit_code == 1


def test_a_missed_site_is_told_to_the_parent(nursery: Nursery) -> None:
    nursery.begun()
    nursery.missed.missed("gamma")
    nursery.pump()
    assert nursery.parent.refreshes == 1


def test_what_comes_on_the_control_channel_is_passed_up_as_it_is(nursery: Nursery) -> None:
    nursery.begun()
    nursery.channel.up()
    nursery.channel.heard(b"\xff\0" + b"x" * 4095, "broker:61613")
    nursery.pump()
    assert nursery.parent.refreshes == 1, "an update may have been missed before"
    assert nursery.parent.told("heard") == [("heard", b"\xff\0" + b"x" * 4095, "broker:61613")]


def test_a_child_that_leaves_listens_no_more(nursery: Nursery) -> None:
    nursery.begun()
    nursery.ask(commands.Stop)
    nursery.reactor.advance(0)
    assert nursery.channel.stopped


def test_the_spec_of_another_version_is_understood_as_far_as_it_goes() -> None:
    spec = ChildSpec.from_json(b'{"version": "9.9", "id": "t.main.1", "colour": "red"}')
    assert (spec.version, spec.id, spec.group, spec.standby) == ("9.9", "t.main.1", "", False)
