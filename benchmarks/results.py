"""What rounds of measurements come to: medians, ratios within a round, a table and one JSON document."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one contender.

    Attributes:
        rate: instances per second.
        cpu: seconds of CPU of its whole process tree for one instance.
        size: bytes of a file.
        fault: why the run does not count as good (files lost, other statuses than success); None: it does.
    """

    rate: float
    cpu: float
    size: int
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One comparison, as .bench/results.json holds it. `ratio` is the median of the ratios within a round."""

    measure: str
    ours: float
    peer: float
    peer_name: str
    ratio: float
    unit: str
    durability: str


Round = Mapping[str, Sample]
"""The samples of one round by the contender's name: all ran back to back."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and extremes of what several rounds gave."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Summarise at least one value."""
        return cls(median(values), min(values), max(values))

    def show(self, digits: int = 0) -> str:
        """Print as `median (low-high)`."""
        return f"{self.median:.{digits}f} ({self.low:.{digits}f}-{self.high:.{digits}f})"


def samples(rounds: Sequence[Round], name: str) -> list[Sample]:
    """All samples of one contender."""
    return [samples[name] for samples in rounds if name in samples]


def rate_ratio(rounds: Sequence[Round], ours: str, peer: str) -> Spread | None:
    """How many times faster than the peer we are, round by round; None where no round has both."""
    ratios = [r[ours].rate / r[peer].rate for r in rounds if ours in r and peer in r]
    return Spread.of(ratios) if ratios else None


def cpu_ratio(rounds: Sequence[Round], ours: str, peer: str) -> Spread | None:
    """How much CPU we take of what the peer takes for an instance, round by round."""
    ratios = [r[ours].cpu / r[peer].cpu for r in rounds if ours in r and peer in r and r[peer].cpu]
    return Spread.of(ratios) if ratios else None


def table(rounds: Sequence[Round], names: Sequence[str], ours: str, unit: str = "instances/s") -> list[str]:
    """The lines of one row's table: a contender each."""
    lines = [f"  {'':32}{unit:>24}{'MB/s':>7}{'CPU us each':>22}  {ours} / it"]
    for name in names:
        taken = samples(rounds, name)
        if not taken:
            lines.append(f"  {name:32}{'did not run':>24}")
            continue
        rate = Spread.of([sample.rate for sample in taken])
        cpu = Spread.of([sample.cpu * 1e6 for sample in taken])
        ratio = rate_ratio(rounds, ours, name) if name != ours else None
        megabytes = f"{rate.median * taken[0].size / 1e6:.0f}" if taken[0].size else "-"
        line = f"  {name:32}{rate.show():>24}{megabytes:>7}{cpu.show():>22}"
        line += f"  {ratio.show(2)}" if ratio else ""
        faults = sorted({sample.fault for sample in taken if sample.fault})
        lines.append(line.rstrip() + (f"  NOT GOOD: {'; '.join(faults)}" if faults else ""))
    return lines


def comparisons(
    measure: str,
    rounds: Sequence[Round],
    ours: str,
    peers: Sequence[str],
    durability: str,
    unit: str = "instances/s",
) -> list[Result]:
    """Ours beside each peer: the rate, and the CPU of an instance."""
    results = []
    for peer in peers:
        rate, cpu = rate_ratio(rounds, ours, peer), cpu_ratio(rounds, ours, peer)
        mine, theirs = samples(rounds, ours), samples(rounds, peer)
        if rate:
            values = (median(s.rate for s in mine), median(s.rate for s in theirs))
            results.append(_result(measure, values, peer, rate, unit, durability, digits=1))
        if cpu:
            values = (median(s.cpu * 1e6 for s in mine), median(s.cpu * 1e6 for s in theirs))
            results.append(
                _result(
                    measure, values, peer, cpu, f"us of CPU/{unit.removesuffix('s/s')}", durability, digits=1
                )
            )
    return results


def _result(
    measure: str,
    values: tuple[float, float],
    peer: str,
    ratio: Spread,
    unit: str,
    durability: str,
    digits: int,
) -> Result:
    ours, theirs = (round(value, digits) for value in values)
    return Result(measure, ours, theirs, peer, round(ratio.median, 3), unit, durability)


def write(results: Sequence[Result], path: Path) -> None:
    """Write the JSON document; what it holds of other measures stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = {result.measure for result in results}
    old = json.loads(path.read_text()) if path.exists() else []
    kept = [entry for entry in old if entry["measure"] not in new]
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps([*kept, *map(asdict, results)], indent=2) + "\n")
    temporary.replace(path)
