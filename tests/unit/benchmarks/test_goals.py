"""A goal is met or missed by the median, and one without a figure is neither."""

from benchmarks.goals import Goal, goals, verdict, verdicts
from benchmarks.results import Sample, Spread


def _sample(rate: float) -> Sample:
    return Sample(rate, cpu=0.0, size=1)


ROUNDS = {"row": [{"ours": _sample(10), "peer": _sample(10)}, {"ours": _sample(30), "peer": _sample(10)}]}


def test_goals_compare_ratios_within_a_round() -> None:
    met, missed = verdicts([Goal("row", "ours", "peer", 2.0), Goal("row", "ours", "peer", 2.1)], ROUNDS)
    assert met.startswith("goal  met")
    assert missed.startswith("goal  MISSED")


def test_a_row_that_was_not_measured_has_no_verdict() -> None:
    assert verdicts([Goal("another", "ours", "peer", 1.0)], ROUNDS) == []


def test_a_peer_that_did_not_run_gives_no_figure() -> None:
    (line,) = verdicts([Goal("row", "ours", "absent", 1.0)], ROUNDS)
    assert "no figure" in line


def test_a_line_of_a_table_leaves_out_rows_without_a_goal() -> None:
    assert list(goals(("a", "b"), "ours", "peer", (None, 2.0))) == [Goal("b", "ours", "peer", 2.0)]


def test_an_upper_bound_is_met_from_below() -> None:
    assert verdict("memory", Spread(3, 3, 3), at_most=3, unit=" MB").startswith("goal  met")
    assert verdict("memory", Spread(3.1, 3, 4), at_most=3, unit=" MB").startswith("goal  MISSED")
