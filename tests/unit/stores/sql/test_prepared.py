"""When the rows of a statement count."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from psycopg import OperationalError
from psycopg.pq import ExecStatus, TransactionStatus
from twisted.internet.task import Clock

from snqd.stores.sql.prepared import NotDone, PreparedStatement

ROWS = SimpleNamespace(status=ExecStatus.TUPLES_OK, get_error_message=lambda: "no error")
CUT = SimpleNamespace(status=ExecStatus.FATAL_ERROR, get_error_message=lambda: "terminating connection")


@pytest.mark.parametrize(
    ("results", "state", "told"),
    [
        ([ROWS, CUT], TransactionStatus.UNKNOWN, "terminating connection"),
        ([ROWS], TransactionStatus.ACTIVE, "no error"),
        ([], TransactionStatus.IDLE, "no answer"),
    ],
)
def test_rows_without_an_answer_to_their_commit_do_not_count(results: list[Any], state: Any, told: str) -> None:
    prepared = PreparedStatement(Clock(), "SELECT 1", ())
    prepared._connection = SimpleNamespace(pgconn=SimpleNamespace(transaction_status=state))
    with pytest.raises(OperationalError, match=told):
        prepared._rows(results)


def test_what_the_server_has_refused_is_told_from_what_it_may_have_done() -> None:
    prepared = PreparedStatement(None, "SELECT 1", ())
    prepared._connection = SimpleNamespace(pgconn=SimpleNamespace(transaction_status=TransactionStatus.IDLE))
    with pytest.raises(NotDone, match="terminating"):
        prepared._rows([CUT])
    with pytest.raises(OperationalError):
        prepared._rows([])
