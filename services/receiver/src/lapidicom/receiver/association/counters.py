"""What a listener counts: plain integers per association, added up when somebody asks.

A metric call per instance costs as much as scanning its header, so nothing is called in the hot path.
"""

import threading
from dataclasses import dataclass, field, fields


@dataclass(slots=True)
class Counters:
    """Counts of one association, or of all. Only the association's thread writes to its own."""

    associations: int = 0
    associations_rejected: int = 0
    associations_aborted: int = 0
    instances_stored: int = 0
    instances_kept: int = 0
    instances_replaced: int = 0
    bytes_stored: int = 0
    instances_refused: dict[int, int] = field(default_factory=dict)
    """By DIMSE status."""

    def refuse(self, status: int) -> None:
        """Count an instance that was answered with a failure status."""
        self.instances_refused[status] = self.instances_refused.get(status, 0) + 1

    def add(self, other: "Counters") -> None:
        """Add another's counts to these."""
        for one in fields(self):
            mine, theirs = getattr(self, one.name), getattr(other, one.name)
            if isinstance(theirs, dict):
                for status, count in dict(theirs).items():
                    mine[status] = mine.get(status, 0) + count
            else:
                setattr(self, one.name, mine + theirs)


class Tally:
    """The counters of all associations of a listener, past and present."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended = Counters()
        self._counters: dict[int, Counters] = {}

    def begin(self) -> Counters:
        """Give a new association its counters."""
        counters = Counters()
        with self._lock:
            self._counters[id(counters)] = counters
        return counters

    def end(self, counters: Counters) -> None:
        """Keep the counts of an association that has ended."""
        with self._lock:
            if self._counters.pop(id(counters), None) is not None:
                self._ended.add(counters)

    def total(self) -> Counters:
        """Add up everything that was counted so far."""
        total = Counters()
        with self._lock:
            total.add(self._ended)
            for counters in self._counters.values():
                total.add(counters)
        return total
