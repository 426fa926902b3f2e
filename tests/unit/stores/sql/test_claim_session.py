"""An owner's transactions: signed, done again where others are in the way, never in doubt for long."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest
from psycopg import OperationalError
from twisted.internet.defer import Deferred, fail, succeed

from snqd.core.errors import StoreError, StoreUnavailable
from snqd.stores.group_commit import ConnectionLost
from snqd.stores.sql.claim_session import ClaimSession, OneStatementClaim
from snqd.stores.sql.dialects import CommitLost, Conflict, PostgresqlDialect


class Row:
    """The owner's row in a database, and what connections do with it."""

    def __init__(self) -> None:
        self.last = 0
        self.wrote: list[str] = []
        self.connections = 0
        self.answers: list[str | None] = []
        self.troubles: dict[str, list[Exception]] = {}

    def trouble(self, moment: str) -> Exception | None:
        """What happens at this `moment`: ``connect``, ``sign``, ``commit``, ``committed`` or ``ask``."""
        waiting = self.troubles.get(moment, [])
        return waiting.pop(0) if waiting else None

    def face(self, moment: str) -> None:
        error = self.trouble(moment)
        if error is not None:
            raise error


class Connected:
    """A connection; what an action writes counts with the commit."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.pending: list[str] = []
        self.last = row.last
        self.rolled_back = 0

    def commit(self) -> None:
        self.row.face("commit")
        self.row.wrote += self.pending
        self.row.last, self.pending = self.last, []
        self.row.face("committed")

    def rollback(self) -> None:
        self.pending = []
        self.rolled_back += 1

    def exec_driver_sql(self, statement: str, arguments: tuple[int, ...]) -> None:
        self.pending.append(f"let go of {arguments[-1]}")

    def invalidate(self) -> None:
        self.pending = []

    close = invalidate


class Database:
    """Database, server and statements in one."""

    name = "postgresql://h/d"
    dialect = PostgresqlDialect()

    def __init__(self, row: Row) -> None:
        self.row = row
        self.server = self.statements = self

    def connect(self) -> Connected:
        self.row.face("connect")
        self.row.connections += 1
        return Connected(self.row)

    def run(self, action: Callable[[Any], Any]) -> Any:
        self.row.face("ask")
        return action(Connected(self.row))

    @contextmanager
    def errors_in_words(self) -> Iterator[None]:
        yield

    def sign(self, connection: Connected, owner: int, last: int, durable: bool) -> bool:
        self.row.face("sign")
        connection.last = last
        return True

    def last_of(self, connection: Connected, owner: int) -> int:
        return self.row.last

    def close(self) -> None:
        """Nothing is open."""


class AtOnce:
    """The prepared statement, which writes the number that it is given."""

    def __init__(self, row: Row) -> None:
        self.row = row

    def prepare(self, connection: Connected) -> None:
        """It is known everywhere."""

    def ask(self, connection: Connected, arguments: Sequence[str]) -> Deferred[list[str | None]]:
        try:
            self.row.face("sign")
            self.row.last = connection.last = int(arguments[0])
            self.row.face("committed")
        except OperationalError:
            return fail()
        return succeed([self.row.answers.pop(0)])


@pytest.fixture
def row() -> Row:
    return Row()


@pytest.fixture
def owner(row: Row) -> ClaimSession:
    made = ClaimSession(Database(row), Random(1), AtOnce(row))  # type: ignore[arg-type]
    made.number = 5
    return made


def write(owner: ClaimSession, text: str) -> Any:
    def action(connection: Any) -> str:
        connection.pending.append(text)
        return text.upper()

    (answer,) = owner.run([action], True)
    return answer


def test_transactions_follow_on_one_connection_each_with_its_number(owner: ClaimSession, row: Row) -> None:
    assert [write(owner, "a"), write(owner, "b")] == ["A", "B"]
    assert (row.wrote, row.last, row.connections, owner.known) == (["a", "b"], 2, 1, True)


def test_a_conflict_is_tried_again_on_the_same_connection(owner: ClaimSession, row: Row) -> None:
    row.troubles["sign"] = [Conflict(), Conflict()]
    assert write(owner, "a") == "A"
    assert (row.wrote, row.connections) == (["a"], 1)


def test_conflicts_without_end_are_told(owner: ClaimSession, row: Row) -> None:
    row.troubles["sign"] = [Conflict()] * 20
    with pytest.raises(Conflict):
        write(owner, "a")
    assert row.wrote == []


def test_a_connection_that_broke_while_it_was_idle_is_made_again_unnoticed(owner: ClaimSession, row: Row) -> None:
    write(owner, "a")
    row.troubles["sign"] = [ConnectionLost()]
    assert write(owner, "b") == "B"
    assert (row.wrote, row.connections) == (["a", "b"], 2)


def test_a_server_that_is_away_is_told_of_and_found_again(owner: ClaimSession, row: Row) -> None:
    write(owner, "a")
    row.troubles = {"sign": [ConnectionLost()], "connect": [ConnectionLost()]}
    with pytest.raises(ConnectionLost):
        write(owner, "b")
    assert write(owner, "c") == "C"
    assert row.wrote == ["a", "c"]


def test_an_action_that_fails_undoes_its_transaction_and_keeps_the_connection(owner: ClaimSession, row: Row) -> None:
    def fail(connection: Any) -> None:
        connection.pending.append("half")
        raise StoreError("no")

    with pytest.raises(StoreError, match="no"):
        owner.run([fail], True)
    write(owner, "a")
    assert (row.wrote, row.connections) == (["a"], 1)


def test_another_server_is_looked_for_after_a_refusal_that_may_pass(owner: ClaimSession, row: Row) -> None:
    row.troubles["sign"] = [StoreUnavailable("read-only")]
    with pytest.raises(StoreUnavailable, match="read-only"):
        write(owner, "a")
    write(owner, "b")
    assert (row.wrote, row.connections) == (["b"], 2)


def test_a_commit_whose_answer_was_lost_counts_if_it_took_place(owner: ClaimSession, row: Row) -> None:
    row.troubles["committed"] = [ConnectionLost()]
    assert write(owner, "a") == "A"
    assert row.wrote == ["a"]


def test_a_commit_that_was_lost_is_done_again(owner: ClaimSession, row: Row) -> None:
    row.troubles["commit"] = [ConnectionLost()]
    assert write(owner, "a") == "A"
    assert row.wrote == ["a"]


def test_a_process_that_leaves_waits_for_no_answer(owner: ClaimSession, row: Row) -> None:
    row.troubles = {"committed": [ConnectionLost("cut")], "ask": [StoreUnavailable("away")]}
    owner.leave()
    with pytest.raises(CommitLost, match="cut"):
        write(owner, "a")


def claim(owner: ClaimSession) -> Any:
    """As the writer does: in one statement if that can be, in a transaction otherwise."""
    action = OneStatementClaim(lambda connection: "in a transaction", ["{}"], lambda rows: rows[0])
    started = owner.start(action)
    results: list[Any] = []
    if started is not None:
        started.addCallback(results.append)
    if results and results[0] is not None:
        return results[0]
    (answer,) = owner.run([action], False)
    return answer


def test_a_claim_alone_needs_no_transaction_unless_it_says_so(owner: ClaimSession, row: Row) -> None:
    write(owner, "a")
    row.answers = ["at once", None]
    assert (claim(owner), claim(owner)) == ("at once", "in a transaction")
    assert (row.last, row.connections) == (4, 1)


def test_a_claim_of_one_that_is_not_registered_is_made_in_a_transaction(owner: ClaimSession) -> None:
    owner.number = 0
    write(owner, "a")
    assert claim(owner) == "in a transaction"


def test_the_first_claim_on_a_connection_is_made_in_a_transaction(owner: ClaimSession, row: Row) -> None:
    assert claim(owner) == "in a transaction"
    assert (row.last, row.connections) == (1, 1)


def test_what_a_claim_took_whose_answer_was_lost_is_let_go_of(owner: ClaimSession, row: Row) -> None:
    write(owner, "a")
    row.troubles["committed"] = [OperationalError("cut")]
    assert claim(owner) == "in a transaction"
    assert (row.wrote, row.last, row.connections) == (["a", "let go of 2"], 3, 2)
    write(owner, "b")
    assert row.wrote == ["a", "let go of 2", "b"]


def test_it_is_let_go_of_once_the_server_is_back(owner: ClaimSession, row: Row) -> None:
    write(owner, "a")
    row.troubles = {"committed": [OperationalError("cut")], "connect": [ConnectionLost()]}
    with pytest.raises(ConnectionLost):
        claim(owner)
    assert claim(owner) == "in a transaction"
    assert row.wrote == ["a", "let go of 2"]


def test_a_claim_that_never_reached_the_server_took_nothing(owner: ClaimSession, row: Row) -> None:
    write(owner, "a")
    row.troubles["sign"] = [OperationalError("cut")]
    assert claim(owner) == "in a transaction"
    assert row.wrote == ["a"]
