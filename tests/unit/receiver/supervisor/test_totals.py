"""Sums over living and ended children."""

from lapidicom.receiver.supervisor.totals import Totals


def test_what_an_ended_child_counted_stays_in_the_sum() -> None:
    totals = Totals()
    totals.keep({"instances_stored": 5, "instances_refused_A700": 1})
    totals.keep({"instances_stored": 2})
    assert totals.sum([{"instances_stored": 10, "associations": 1}, {"instances_stored": 1}]) == {
        "instances_stored": 18,
        "instances_refused_A700": 1,
        "associations": 1,
    }


def test_asking_for_the_sum_does_not_change_it() -> None:
    totals = Totals()
    assert totals.sum([{"a": 1}]) == totals.sum([{"a": 1}]) == {"a": 1}
