"""How long a solo child waits."""

from __future__ import annotations

from snqd.child.single_process_timeout import PATIENCE, SingleProcessTimeout


def test_it_leaves_after_ten_seconds_with_nothing_to_do() -> None:
    patience = SingleProcessTimeout()
    looks = [patience.exhausted({"in_flight": 0, "settled": 0}, 100.0 + second) for second in range(11)]
    assert looks == [False] * 10 + [True]


def test_work_in_flight_or_settled_keeps_it() -> None:
    patience = SingleProcessTimeout()
    assert not patience.exhausted({"in_flight": 1, "settled": 0}, 0)
    assert not patience.exhausted({"in_flight": 1, "settled": 0}, 2 * PATIENCE)
    assert not patience.exhausted({"in_flight": 0, "settled": 1}, 3 * PATIENCE)
    assert patience.exhausted({"in_flight": 0, "settled": 1}, 4 * PATIENCE)
