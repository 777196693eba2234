"""The report on a run calls each thing by its right name; a lost instance cannot pass."""

from typing import Any

import pytest

from tests.support.instances import instance
from tests.support.ledger import OUT_OF_RESOURCES, SUCCESS, Ledger, Report


def report(**changes: Any) -> Report:
    """Of two instances that were sent and came out well."""
    both = frozenset({"a", "b"})
    fields: dict[str, Any] = {
        "attempted": both,
        "acknowledged": both,
        "published": both,
        "registered": {"a": 1, "b": 1},
        "repeated": 0,
        "dead_lettered": frozenset(),
        "differing": frozenset(),
        "unended": frozenset(),
        "sent": 2,
        "associations": 1,
    }
    return Report(**(fields | changes))


def test_a_run_in_which_everything_was_registered_once_passes() -> None:
    report().check()


def test_a_dead_letter_is_not_lost() -> None:
    well = report(registered={"a": 1}, dead_lettered=frozenset({"b"}))
    well.check()
    assert well.lost == frozenset()


def test_what_was_never_acknowledged_may_be_registered_and_counts_as_recovered() -> None:
    well = report(acknowledged=frozenset({"a"}))
    well.check()
    assert well.recovered == {"b"}


def test_what_was_never_acknowledged_may_be_nowhere() -> None:
    report(acknowledged=frozenset({"a"}), registered={"a": 1}).check()


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("lost", {"registered": {"a": 1}}),
        ("duplicated", {"registered": {"a": 1, "b": 2}}),
        ("unexpected", {"registered": {"a": 1, "b": 1, "c": 1}}),
        ("differing", {"differing": frozenset({"b"})}),
        ("unended", {"unended": frozenset({("association", "1.2.3")})}),
    ],
)
def test_whatever_breaks_a_guarantee_fails_the_check(name: str, changes: dict[str, Any]) -> None:
    bad = report(**changes)
    assert getattr(bad, name)
    with pytest.raises(AssertionError, match="attempted 2"):
        bad.check()


def test_one_success_among_several_answers_acknowledges_and_none_does_not() -> None:
    ledger = Ledger()
    one = instance()
    for path, answers in (("a", [OUT_OF_RESOURCES, SUCCESS]), ("b", [OUT_OF_RESOURCES]), ("c", [])):
        ledger.begin(path, one)
        for status in answers:
            ledger.answer(path, status)
    assert ledger.acknowledged == {"a"}
    assert ledger.instances.keys() == {"a", "b", "c"}
    assert ledger.statuses() == {SUCCESS: 1, OUT_OF_RESOURCES: 2}
