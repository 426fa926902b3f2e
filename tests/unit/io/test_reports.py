"""What I/O managers show in the status."""

from __future__ import annotations

from typing import Any

import pytest

from snqd.io.reports import MAX_REPORT_BYTES, MAX_TOTAL_BYTES, BadReport, ManagerReports


def test_the_latest_report_of_each_is_kept_until_it_is_dropped() -> None:
    reports = ManagerReports()
    reports.put("a", {"seen": 1})
    reports.put("a", {"seen": 2})
    reports.put("b", {"state": "up"})
    assert reports.latest == {"a": {"seen": 2}, "b": {"state": "up"}}
    reports.drop("a")
    reports.drop("never")
    assert reports.latest == {"b": {"state": "up"}}


def test_what_the_manager_changes_later_is_not_shown() -> None:
    reports, figures = ManagerReports(), {"list": [1]}
    reports.put("a", figures)
    figures["list"].append(2)
    assert reports.latest == {"a": {"list": [1]}}


LOOP: dict[str, Any] = {}
LOOP["self"] = LOOP


@pytest.mark.parametrize("figures", [{"at": object()}, {"rate": float("nan")}, {(1, 2): 3}, [1], None, LOOP])
def test_what_is_no_json_object_is_refused_and_the_report_before_stays(figures: Any) -> None:
    reports = ManagerReports()
    reports.put("a", {"seen": 1})
    with pytest.raises(BadReport, match="the report of a is"):
        reports.put("a", figures)
    assert reports.latest == {"a": {"seen": 1}}


def test_a_report_that_is_too_large_is_refused() -> None:
    reports = ManagerReports()
    reports.put("a", {"": "x" * (MAX_REPORT_BYTES - 8)})
    with pytest.raises(BadReport, match=f"{MAX_REPORT_BYTES + 1} bytes"):
        reports.put("a", {"": "x" * (MAX_REPORT_BYTES - 7)})


def test_all_reports_of_a_process_have_a_limit_too() -> None:
    reports, largest = ManagerReports(), {"": "x" * (MAX_REPORT_BYTES - 8)}
    for number in range(MAX_TOTAL_BYTES // MAX_REPORT_BYTES):
        reports.put(f"m{number}", largest)
    with pytest.raises(BadReport, match=f"{MAX_TOTAL_BYTES + 2} bytes"):
        reports.put("another", {})
    reports.put("m1", largest)
    reports.drop("m0")
    reports.put("another", {})
