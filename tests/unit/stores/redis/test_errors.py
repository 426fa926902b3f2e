"""Redis's refusals in words that say what to do."""

from __future__ import annotations

import pytest

from snqd.core.errors import StoreError, StoreUnavailable
from snqd.stores.redis.errors import store_error

PASSING = [
    ("OOM command not allowed when used memory > 'maxmemory'.", "raise maxmemory"),
    ("Error running script (call to f_1): @user_script:3: -OOM command not allowed", "raise maxmemory"),
    ("MISCONF Errors writing to the AOF file: No space left on device", "look into its log"),
    ("READONLY You can't write against a read only replica.", "name the master"),
    ("LOADING Redis is loading the dataset in memory", "still loading"),
    ("MASTERDOWN Link with MASTER is down", "without its master"),
    ("NOREPLICAS Not enough good replicas to write.", "min-replicas-to-write"),
    ("BUSY Redis is busy running a script.", "keeps it busy"),
    ("max number of clients reached", "raise maxclients"),
]
LASTING = [
    ("NOAUTH Authentication required.", "wants a password"),
    ("WRONGPASS invalid username-password pair or user is disabled.", "correct them"),
    (" invalid password", "correct them"),
    ("NOPERM this user has no permissions to run the 'evalsha' command", "lacks rights"),
    ("MOVED 3999 127.0.0.1:6381", "without cluster mode"),
    ("WRONGTYPE Operation against a key holding the wrong kind of value", "fails: WRONGTYPE"),
]


@pytest.mark.parametrize(("text", "told"), PASSING, ids=[text[:12] for text, _ in PASSING])
def test_what_may_pass_is_worth_another_try(text: str, told: str) -> None:
    error = store_error("h:1/0", text)
    assert isinstance(error, StoreUnavailable)
    assert "Redis at h:1/0 refuses" in str(error)
    assert told in str(error)


@pytest.mark.parametrize(("text", "told"), LASTING, ids=[text[:12] for text, _ in LASTING])
def test_what_will_last_is_not(text: str, told: str) -> None:
    error = store_error("h:1/0", text)
    assert type(error) is StoreError
    assert told in str(error)
