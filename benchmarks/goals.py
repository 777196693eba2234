"""The goals of a benchmark as data, and whether they are met."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.results import Round, Spread, rate_ratio


@dataclass(frozen=True, slots=True)
class Goal:
    """The least ratio of our rate to a peer's, within a round.

    Attributes:
        row: of the table.
        ours: the contender whose rate it is.
        peer: the one that it is compared with.
        ratio: the least median.
    """

    row: str
    ours: str
    peer: str
    ratio: float


def goals(rows: Sequence[str], ours: str, peer: str, ratios: Sequence[float | None]) -> Iterator[Goal]:
    """One line of a table of goals; None: no goal in that row."""
    for row, ratio in zip(rows, ratios, strict=True):
        if ratio is not None:
            yield Goal(row, ours, peer, ratio)


def verdicts(wanted: Sequence[Goal], rounds: Mapping[str, Sequence[Round]]) -> list[str]:
    """A line for each goal whose row was measured."""
    lines = []
    for goal in wanted:
        if not rounds.get(goal.row):
            continue
        what = f"{goal.row}: {goal.ours} / {goal.peer}"
        lines.append(verdict(what, rate_ratio(rounds[goal.row], goal.ours, goal.peer), at_least=goal.ratio))
    return lines


def verdict(
    what: str,
    found: Spread | None,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    unit: str = "",
    digits: int = 2,
) -> str:
    """One goal's line: what was found, what is wanted, met or missed."""
    sign, bound = (">=", at_least) if at_most is None else ("<=", at_most)
    wanted = f"{sign} {bound:g}{unit}"
    if found is None or bound is None:
        return f"goal  {'no figure':9} {what}: wanted {wanted}"
    met = found.median >= bound if sign == ">=" else found.median <= bound
    return f"goal  {'met' if met else 'MISSED':9} {what}: {found.show(digits)}{unit}, wanted {wanted}"
