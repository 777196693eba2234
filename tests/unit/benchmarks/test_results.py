"""Ratios are taken within a round, and a bad run is told."""

import json
from pathlib import Path

from benchmarks.results import Result, Sample, comparisons, rate_ratio, table, write


def _sample(rate: float, fault: str | None = None) -> Sample:
    return Sample(rate, cpu=1 / rate, size=1000, fault=fault)


ROUNDS = [
    {"ours": _sample(100), "peer": _sample(50)},
    {"ours": _sample(10), "peer": _sample(10)},
    {"ours": _sample(40), "peer": _sample(10)},
]


def test_the_ratio_is_the_median_of_the_rounds_and_not_that_of_the_medians() -> None:
    ratio = rate_ratio(ROUNDS, "ours", "peer")
    assert ratio is not None
    assert (ratio.median, ratio.low, ratio.high) == (2, 1, 4)


def test_a_round_without_the_peer_gives_no_ratio() -> None:
    assert rate_ratio([{"ours": _sample(1)}], "ours", "peer") is None


def test_the_document_tells_rate_and_cpu_of_each_peer() -> None:
    results = comparisons("row", ROUNDS, "ours", ["peer", "absent"], "none")
    assert [(r.unit, r.ours, r.peer, r.ratio) for r in results] == [
        ("instances/s", 40, 10, 2),
        ("us of CPU/instance", 25000, 100000, 0.5),
    ]


def test_a_run_that_lost_instances_is_marked_in_the_table() -> None:
    lines = table([{"ours": _sample(1), "peer": _sample(1, "9 sent, 8 stored")}], ["ours", "peer"], "ours")
    assert "NOT GOOD: 9 sent, 8 stored" in lines[2]
    assert "NOT GOOD" not in lines[1]


def test_a_document_keeps_the_measures_of_other_benchmarks(tmp_path: Path) -> None:
    def result(measure: str, ours: float) -> Result:
        return Result(measure, ours, 1.0, "peer", ours, "instances/s", "none")

    path = tmp_path / "folder" / "results.json"
    write([result("receive a", 1), result("path a", 2)], path)
    write([result("path a", 3)], path)
    assert [(r["measure"], r["ours"]) for r in json.loads(path.read_text())] == [
        ("receive a", 1),
        ("path a", 3),
    ]
