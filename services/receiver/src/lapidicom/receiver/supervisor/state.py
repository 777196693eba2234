"""What the supervisor knows of its children, and what follows: who takes a connection, readiness, sums."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lapidicom.receiver.control import OwnerEnded, Report

SILENCE: Final = 5.0
"""Seconds without a report after which a listener gets no new connection and counts as not ready."""


STARTING: Final = 20.0
"""Seconds for which connections wait in the backlog for a listener that has been started."""

_MOST_KEPT: Final = 1000
"""Journals beyond that are found by the relay itself, by their heartbeat."""


@dataclass(frozen=True)
class ListenerState:
    """A listener process as the supervisor sees it.

    Attributes:
        index: which of the listeners it is.
        alive: its process runs and its control socket is open.
        handed: connections given to this process.
        report: its last report, if any.
        age: seconds since that report; without one, since the process was started.
        unusable: why this process, or the one before it, could not begin its work; None if it could.
    """

    index: int
    alive: bool
    handed: int
    report: Report | None
    age: float
    unusable: str | None = None

    @property
    def is_live(self) -> bool:
        """Whether it may be given a connection."""
        return self.alive and self.report is not None and self.age < SILENCE

    @property
    def is_silent(self) -> bool:
        """Whether it runs, but has given no sign of life for a while."""
        return self.alive and self.report is not None and self.age >= SILENCE

    @property
    def is_starting(self) -> bool:
        """Whether it may be about to become live."""
        return self.alive and self.report is None and self.age < STARTING

    @property
    def open(self) -> int:
        """Open connections: those of the report, and those that were handed over after it."""
        if self.report is None:
            return self.handed
        return self.report.connections + self.handed - self.report.taken

    @property
    def fault(self) -> str | None:
        """Why it takes no instances now, or None."""
        if self.report is None:
            return self.unusable or "has not reported yet"
        if not self.is_live:
            return f"silent for {self.age:.0f} s" if self.alive else "has ended"
        return self.report.fault

    @property
    def degraded(self) -> str | None:
        """What is wrong and would be so for every process on this volume, or None."""
        return self.report.degraded if self.report is not None and self.is_live else None


def takers(listeners: Iterable[ListenerState]) -> list[int]:
    """Indices of the live listeners, the one that should take the next connection first.

    That is the one with the fewest open connections. One that would refuse every instance comes last.
    Among equals the one that was given fewest goes first.
    """
    live = [listener for listener in listeners if listener.is_live]
    live.sort(key=lambda one: (one.fault is not None, one.open, one.handed, one.index))
    return [listener.index for listener in live]


def reasons_not_ready(listeners: Sequence[ListenerState], *, stopping: bool) -> list[str]:
    """Why the receiver is not ready; empty if one listener at least reported lately that it takes instances.

    A volume that is full is no reason: no other receiver could do better. Relay and broker are never
    asked: without them instances are stored and journalled all the same.
    """
    if stopping:
        return ["shutting down"]
    if any(listener.fault is None for listener in listeners):
        return []
    return [f"listener {listener.index}: {listener.fault}" for listener in listeners]


def degradations(listeners: Sequence[ListenerState], relay: ListenerState) -> list[str]:
    """What is wrong although it does not make the receiver unready: listener by listener, then the relay."""
    found = []
    some_are_well = any(listener.fault is None for listener in listeners)
    for listener in listeners:
        is_new = listener.is_starting and listener.unusable is None
        if listener.fault is not None and some_are_well and not is_new:
            found.append(f"listener {listener.index}: {listener.fault}")
        if listener.degraded is not None:
            found.append(f"listener {listener.index}: {listener.degraded}")
    if relay.is_silent:
        found.append(f"relay: {relay.fault}")
    return found


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


class EndedListeners:
    """The journals whose listener was seen to end: a relay is sent each once, a new relay all again."""

    def __init__(self) -> None:
        self._journals: list[str] = []
        self._sent = 0

    def add(self, journal: str) -> None:
        """A listener process was seen to end, or went on with another journal."""
        if journal not in self._journals:
            self._journals.append(journal)
        if len(self._journals) > _MOST_KEPT:
            del self._journals[0]
            self._sent = max(0, self._sent - 1)

    def start_anew(self) -> None:
        """A new relay process knows nothing yet."""
        self._sent = 0

    def send(self, send: Callable[[OwnerEnded], bool]) -> bool:
        """Send those that the relay does not know, until `send` says that it cannot take more now.

        Returns:
            Whether all are sent.
        """
        while self._sent < len(self._journals):
            if not send(OwnerEnded(self._journals[self._sent])):
                return False
            self._sent += 1
        return True
