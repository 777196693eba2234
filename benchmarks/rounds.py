"""Interleaved rounds: in each one every contender runs back to back with the others, in rotated order.

A shared machine is not equally fast from one minute to the next: what counts are ratios within a round.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from benchmarks.results import Round, Sample
from benchmarks.run import RunError

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Plan(Generic[Row]):
    """How much is measured.

    Attributes:
        rows: what is sent in each.
        rounds: of each row, at most.
        seconds: for all; no round begins that would probably end later.
    """

    rows: Sequence[Row]
    rounds: int
    seconds: float


Runner = Callable[[str, bool], Sample | None]
"""Runs a contender once. Takes the row's name and whether the run only warms up; None: not in this row."""


class Rounds:
    """Runs rounds and keeps what they gave.

    Args:
        most: rounds of a group of rows.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.of: dict[str, list[Round]] = defaultdict(list)
        self.failed: dict[str, str] = {}

    def run(self, rows: Sequence[str], runners: Mapping[str, Runner], deadline: float) -> None:
        """Run rounds of these rows. The first one warms up (memory, modules, disk) and is not kept.

        Args:
            rows: by name.
            runners: by the contender's name.
            deadline: of the monotonic clock: no round begins that would probably end later; one runs always.
        """
        able = dict(runners)
        for number in range(self._most + 1):
            began = time.monotonic()
            for row in rows:
                samples = self._round(row, able, number, warm_up=number == 0)
                if number:
                    self.of[row].append(samples)
            for name in self.failed:
                able.pop(name, None)
            now = time.monotonic()
            kind = f"round {number}" if number else "warm-up"
            print(f"{', '.join(rows)}: {kind}, {now - began:.1f} s", file=sys.stderr, flush=True)
            if number and now + (now - began) > deadline:
                return

    def _round(self, row: str, runners: Mapping[str, Runner], number: int, *, warm_up: bool) -> Round:
        names = list(runners)
        shift = number % max(1, len(names))
        samples: dict[str, Sample] = {}
        for name in names[shift:] + names[:shift]:
            if name in self.failed:
                continue
            try:
                sample = runners[name](row, warm_up)
            except RunError as error:
                self.failed[name] = str(error)
            else:
                if sample is not None:
                    samples[name] = sample
        return samples
