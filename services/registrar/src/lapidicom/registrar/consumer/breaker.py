"""Whether messages that would become dead letters are at fault themselves, or the system is. Pure.

One study that CUBE refuses makes dead letters; a CUBE that sees another volume, or refuses everything
after an upgrade, must not bury a backlog. What tells the two apart is a success: while others are
registered, the fault is the message's.
"""

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

NEVER_COUNTED: Final = frozenset({"late-instances", "other-folder", "half-registered"})
"""Reasons that say something about one series in CUBE, never about the system."""

_MOST_REASONS: Final = 64


class Burial(Enum):
    """What becomes of a message that would become a dead letter."""

    DEAD_LETTER = auto()
    """The fault is the message's."""

    PARK = auto()
    """The fault may be the system's: the message comes back later, no attempt is spent."""


@dataclass(frozen=True, slots=True)
class Doomed:
    """A message that would become a dead letter.

    Attributes:
        message_id: its stable id.
        reason: of the dead letter, stable; two messages are alike if their reasons are equal.
        patient: PatientID; empty if unknown.
        series: SeriesInstanceUID; empty if unknown.
        suspected_at: when it was first parked for such a reason, Unix seconds; None if it never was.
    """

    message_id: str
    reason: str
    patient: str
    series: str
    suspected_at: float | None = None


@dataclass(slots=True)
class _Suspicion:
    """Messages that failed for one reason since the last success; no more of them than decide anything."""

    began: float
    messages: set[str] = field(default_factory=set)
    patients: set[str] = field(default_factory=set)
    series: set[str] = field(default_factory=set)


class Breaker:
    """Judges the messages of one registrar. Times are Unix seconds.

    Args:
        messages: so many, of so many different patients and series, failing for one reason without a
            success between them, are an outage of the system.
        patients: likewise.
        series: likewise.
        window: seconds after which a suspicion is dropped for want of that many patients.

    Attributes:
        open_reason: for which reason the system is held to be at fault; None while it is not.
    """

    def __init__(
        self, *, messages: int = 10, patients: int = 3, series: int = 3, window: float = 60.0
    ) -> None:
        self._messages = messages
        self._patients = patients
        self._series = series
        self._window = window
        self._suspicions: dict[str, _Suspicion] = {}
        self._last_success = float("-inf")
        self.open_reason: str | None = None

    def judge(self, doomed: Doomed, now: float) -> Burial:
        """Say whether a message becomes a dead letter; it counts towards opening the breaker."""
        if doomed.reason in NEVER_COUNTED:
            return Burial.DEAD_LETTER
        if self.open_reason is not None:
            return Burial.PARK
        suspicion = self._suspect(doomed, now)
        many_patients = len(suspicion.patients) >= self._patients and len(suspicion.series) >= self._series
        lasts = now - suspicion.began >= self._window
        if many_patients and (len(suspicion.messages) >= self._messages or lasts):
            self.open_reason = doomed.reason
            return Burial.PARK
        if doomed.suspected_at is None:
            return Burial.PARK
        others_succeeded = self._last_success > doomed.suspected_at
        waited = now - doomed.suspected_at >= self._window and not many_patients
        return Burial.DEAD_LETTER if others_succeeded or waited else Burial.PARK

    def succeeded(self, now: float) -> None:
        """CUBE registered something, or said of a registration known to be good that it has it already."""
        self._last_success = now
        self._suspicions.clear()
        self.open_reason = None

    def asks_for_known_good(self, now: float) -> bool:
        """Whether it is time to send a registration again that is known to have succeeded.

        Its answer "already registered" shows, without any new instance, that the system is well.
        """
        return self.open_reason is not None or any(
            now - suspicion.began >= self._window for suspicion in self._suspicions.values()
        )

    def _suspect(self, doomed: Doomed, now: float) -> _Suspicion:
        suspicion = self._suspicions.get(doomed.reason)
        if suspicion is None:
            if len(self._suspicions) >= _MOST_REASONS:
                del self._suspicions[next(iter(self._suspicions))]
            suspicion = self._suspicions[doomed.reason] = _Suspicion(now)
        for known, value, most in (
            (suspicion.messages, doomed.message_id, self._messages),
            (suspicion.patients, doomed.patient, self._patients),
            (suspicion.series, doomed.series, self._series),
        ):
            if value and len(known) < most:
                known.add(value)
        return suspicion
