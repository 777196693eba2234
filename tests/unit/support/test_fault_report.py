"""The report on faults adds up what the tests told, and hides no failure."""

import json

from tests.support.fault_report import Run, Test, render
from tests.support.ledger import COUNTS, counts_of

LINE = (
    "attempted 9, acknowledged 8, registered 8, dead-lettered 1, lost 0, duplicated 0, repeated 3, "
    "recovered 1, unexpected 0; byte-equal 8, sent 12 times in 3 associations"
)


def run() -> Run:
    counts = counts_of(LINE)
    assert counts is not None
    tests = [
        Test("tests/faults/test_a.py::test_nothing_is_lost[kill]", "passed", 2.4, {"A": counts, "B": counts}),
        Test("tests/faults/test_a.py::test_that_fails", "failed", 1.0, {}, {"storm-0": 42}),
        *(Test(f"tests/faults/test_b.py::test_of_many[{case}]") for case in range(3)),
    ]
    return Run("2026-01-31 12:00 UTC", 90, "large", "4.0.5", "container", {"Python": "3.11"}, "ext4", tests)


def test_a_printed_line_of_the_ledger_is_read_back() -> None:
    counts = counts_of(LINE)
    assert counts is not None
    assert [counts[word] for word in COUNTS] == [9, 8, 8, 1, 0, 0, 3, 1]
    assert counts_of("attempted 9, acknowledged 8") is None


def test_rounds_are_added_up_by_test_and_by_run() -> None:
    page = render([run()])
    assert "| 4.0.5 | 4 passed, 0 skipped, 1 failed | 18 | 16 | 16 | 2 | 0 | 0 | 6 | 2 |" in page
    assert "| nothing is lost (kill) | 2 | 18 | 16 | 16 | 2 | 0 | 0 | 6 | 2 | 2 |" in page
    assert "## RabbitMQ 4.0.5 (container)" in page
    assert "- of many (3 cases)" in page


def test_a_failure_and_its_seed_are_told() -> None:
    page = render([run()])
    assert "- **failed**: that fails" in page
    assert "- that fails: 42" in page


def test_a_run_is_the_same_after_its_record_was_read() -> None:
    assert Run.of_json(json.loads(json.dumps(run().to_json()))) == run()
