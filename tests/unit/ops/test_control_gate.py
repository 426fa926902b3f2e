"""Which commands to all daemons are obeyed."""

from __future__ import annotations

import attrs
import pytest
from twisted.internet.task import Clock

from snqd.core.clocks import BootTime
from snqd.ops.control_gate import COPIES_FOR, MAX_AGE, MAX_AHEAD, MOST_HEARD, ControlGate, Trust
from snqd.wire.control_message import BadControlMessage, ControlMessage, encode, new_message
from tests.unit.dates import STEPS, Dates

KEY = b"k" * 32
KEYED = Trust(KEY, unsigned=False)
OPEN = Trust(None, unsigned=True)


class Daemon:
    """A gate on two clocks, started at second 1000 of one of them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.dates = Dates(self.clock)
        self.gate = ControlGate(lambda: BootTime(self.clock.seconds()), self.dates)

    def signed(self, command: str = "restart", age: float = 0.0, site: str | None = None) -> bytes:
        return encode(new_message(command, site, self.dates() - age, "test"), KEY)

    def hear(self, body: bytes, listener: str = "one", trust: Trust = KEYED) -> ControlMessage | None:
        return self.gate.hear(body, listener, trust)

    def commands(self, *heard: tuple[bytes, str]) -> list[str]:
        """What is obeyed of unsigned words."""
        told = [self.hear(body, listener, OPEN) for body, listener in heard]
        return [message.command for message in told if message is not None]


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


def test_a_signed_command_is_obeyed_once_whoever_hears_it(daemon: Daemon) -> None:
    body = daemon.signed("update", site="alpha")
    told = daemon.hear(body, "one")
    assert told is not None
    assert (told.command, told.site) == ("update", "alpha")
    assert [daemon.hear(body, name) for name in ("two", "three")] == [None, None]


@pytest.mark.parametrize(
    ("body", "trust", "why"),
    [
        (b"restart", KEYED, "not signed"),
        (encode(new_message("stop", None, 1000.0, "x"), None), KEYED, "not signed"),
        (encode(new_message("stop", None, 1000.0, "x"), b"y" * 32), KEYED, "signature is wrong"),
        (encode(new_message("stop", None, 1000.0, "x"), b"y" * 32), Trust(KEY, unsigned=True), "signature is wrong"),
        (encode(new_message("stop", None, 1000.0, "x"), KEY), Trust(None, unsigned=False), "can't be checked"),
        (b"restart" + b" " * 5000, OPEN, "more than 4096 bytes"),
        (b"update:../x", OPEN, "no site name"),
        (b"reboot", OPEN, "no command"),
        (encode(ControlMessage("reboot", id="a", sent=1000.0), KEY), KEYED, "no command"),
    ],
)
def test_what_can_not_be_believed_is_refused(daemon: Daemon, body: bytes, trust: Trust, why: str) -> None:
    with pytest.raises(BadControlMessage, match=why):
        daemon.hear(body, "one", trust)
    assert daemon.hear(body, "two", trust) is None, "one line is enough for all that hear it"


def test_unsigned_commands_are_obeyed_where_that_is_wanted(daemon: Daemon) -> None:
    assert daemon.commands((b"update:peer\n", "one"), (b"restart", "one"), (b"shutdown", "one")) == [
        "update",
        "restart",
        "stop",
    ]
    assert daemon.commands((daemon.signed(), "one")) == ["restart"], "who trusts everybody need not check"


@pytest.mark.parametrize(
    ("age", "why"),
    [(MAX_AGE + 1, "s old"), (-MAX_AHEAD - 1, "ahead of this host's clock")],
)
def test_a_command_of_another_time_is_refused(daemon: Daemon, age: float, why: str) -> None:
    daemon.clock.advance(500)
    with pytest.raises(BadControlMessage, match=why):
        daemon.hear(daemon.signed(age=age))
    assert daemon.hear(daemon.signed(age=age - (2 if age > 0 else -2))) is not None


@pytest.mark.parametrize("step", STEPS)
def test_a_clock_that_is_set_makes_no_command_older_than_the_daemon(daemon: Daemon, step: float) -> None:
    daemon.clock.advance(5)
    daemon.dates.step(step)
    assert daemon.hear(daemon.signed(age=2)) is not None
    with pytest.raises(BadControlMessage, match="older than this daemon"):
        daemon.hear(daemon.signed(age=6))


@pytest.mark.parametrize("step", STEPS)
def test_copies_are_known_as_such_whatever_the_clock_is_set_to(daemon: Daemon, step: float) -> None:
    body = daemon.signed()
    assert daemon.hear(body, "one") is not None
    daemon.dates.step(step)
    assert daemon.hear(body, "two") is None


def test_a_command_from_before_the_daemons_start_is_refused(daemon: Daemon) -> None:
    with pytest.raises(BadControlMessage, match="older than this daemon"):
        daemon.hear(daemon.signed(age=1))


@pytest.mark.parametrize("wait", [0.0, COPIES_FOR - 1, COPIES_FOR + 1, MAX_AGE - 1, MAX_AGE + MAX_AHEAD + 1])
def test_a_command_that_is_sent_again_is_refused(daemon: Daemon, wait: float) -> None:
    body = daemon.signed()
    assert daemon.hear(body) is not None
    daemon.clock.advance(wait)
    with pytest.raises(BadControlMessage, match=r"sent it again|s old"):
        daemon.hear(body)


def test_one_from_a_clock_that_is_ahead_can_not_be_sent_again_either(daemon: Daemon) -> None:
    body = daemon.signed(age=-MAX_AHEAD)
    assert daemon.hear(body) is not None
    for _ in range(int(MAX_AGE + MAX_AHEAD) // 10 + 2):
        daemon.clock.advance(10)
        with pytest.raises(BadControlMessage, match=r"sent it again|s old"):
            daemon.hear(body)


def test_what_the_daemon_was_asked_by_its_socket_is_not_done_again(daemon: Daemon) -> None:
    message = new_message("restart", None, daemon.dates(), "snqctl")
    daemon.gate.expect(message.id)
    body = encode(message, KEY)
    assert [daemon.hear(body, name) for name in ("one", "two")] == [None, None]
    with pytest.raises(BadControlMessage, match="sent it again"):
        daemon.hear(body, "one")


def test_the_same_words_by_the_same_listener_are_another_command(daemon: Daemon) -> None:
    word = b"update:peer"
    assert daemon.commands((word, "a"), (word, "b"), (word, "a"), (word, "b")) == ["update"] * 2
    assert daemon.commands((word, "a"), (word, "a"), (word, "b"), (word, "b")) == ["update"] * 2


def test_a_listener_that_came_later_tells_of_what_came_later(daemon: Daemon) -> None:
    assert daemon.commands((b"restart", "old-1"), (b"restart", "old-2")) == ["restart"]
    daemon.clock.advance(10)
    assert daemon.commands((b"restart", "new-1"), (b"restart", "new-2")) == ["restart"]


def test_a_listener_that_is_slow_tells_of_what_is_done(daemon: Daemon) -> None:
    assert daemon.commands((b"restart", "one"), (b"update:x", "two")) == ["restart", "update"]
    daemon.clock.advance(4)
    assert daemon.commands((b"restart", "two")) == []


def test_it_does_not_remember_for_ever(daemon: Daemon) -> None:
    for number in range(MOST_HEARD + 50):
        daemon.commands((b"update:s%d" % number, "one"))
    assert len(daemon.gate._heard) <= MOST_HEARD + 1
    message = new_message("restart", None, daemon.dates(), "x")
    for number in range(50):
        daemon.hear(encode(attrs.evolve(message, id=f"a{number}"), KEY))
    daemon.gate.expect("never-comes")
    daemon.clock.advance(MAX_AGE + MAX_AHEAD + 1)
    daemon.commands((b"restart", "one"))
    assert (len(daemon.gate._heard), len(daemon.gate._seen), daemon.gate._expected) == (1, 0, set())
