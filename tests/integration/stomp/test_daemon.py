"""Daemons on brokers: nothing is lost when children and brokers are killed, and only the guilty are punished."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from farm import Farm
from waiting import wait_until


def attempts(*farms: Farm) -> list[int]:
    """Of the runs of the only killer, in no order."""
    return sorted(run.attempt for farm in farms for run in farm.journal.runs("killer"))


def test_a_killer_alone_reaches_the_morgue(farm_on: Callable[..., Farm]) -> None:
    farm = farm_on("farm", max_retries=2)
    farm.start()
    farm.enqueue("alpha", "note", "-", input='{"seconds": 0.05}\n' * 200)
    farm.enqueue("beta", "killer", '{"seconds": 0.2}')
    wait_until(lambda: bool(farm.dead()), 60, "a dead letter")
    (letter,) = farm.dead()
    assert (letter["queue"], letter["attempts"]) == ("killer", 3)
    assert letter["reason"] == "its process was killed by signal 9 (attempt 3 of 3)"
    wait_until(lambda: len(farm.journal.handled("note")) == 200, 30, "the end of all innocents")
    assert attempts(farm) == [1, 2, 3]
    assert farm.stop() == 0


def test_two_daemons_share_a_farm_and_its_suspects(farm_on: Callable[..., Farm], tmp_path: Path) -> None:
    morgue = f"sqlite:///{tmp_path}/morgue.db"
    one, two = farm_on("one", max_retries=2, morgue=morgue), farm_on("two", max_retries=2, morgue=morgue)
    one.start()
    two.start()
    one.enqueue("beta", "killer", '{"seconds": 0.2}')
    wait_until(lambda: bool(one.dead()), 60, "a dead letter")
    (letter,) = two.dead()
    assert letter["attempts"] == 3
    assert attempts(one, two) == [1, 2, 3]
