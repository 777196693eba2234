"""Adds the counters of all children up, those of ended ones included."""

from collections import Counter
from collections.abc import Iterable, Mapping


class Totals:
    """What all processes counted since the supervisor began: a replaced child never makes a sum fall."""

    def __init__(self) -> None:
        self._ended: Counter[str] = Counter()

    def keep(self, counters: Mapping[str, int]) -> None:
        """Keep the last counters of a child that has ended."""
        self._ended.update(counters)

    def sum(self, living: Iterable[Mapping[str, int]]) -> dict[str, int]:
        """The sums, with the last reported counters of the living children."""
        total = Counter(self._ended)
        for counters in living:
            total.update(counters)
        return dict(total)
