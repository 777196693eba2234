"""Is it the messages, or the system? Decided by pure code from what failed and what succeeded.

A wrong volume, or a CUBE whose upgrade refuses what it took before, makes every message fail as if it were
the message's fault. Failures for one reason of several patients and series, with no success between them,
are the system's. The clock is the caller's, in seconds since the epoch: times travel with messages.
"""

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

MESSAGES: Final = 10
PATIENTS: Final = 3
SERIES: Final = 3

WINDOW_SECONDS: Final = 60.0
"""After which failures of less than three patients are their messages' fault."""

FEW_SECONDS: Final = 3600.0
"""After which failures that are too few to open it are their messages' fault, of whatever patients."""

CLOCK_SECONDS: Final = 5.0
"""By which the clocks of registrars may differ; `lapidicom doctor` fails above it."""

OF_ONE_SERIES: Final = frozenset({"late-instances", "other-folder", "half-registered", "deletion-pending"})
"""Reasons that tell of a series' history in CUBE: never of the system."""


class Blame(Enum):
    """Whose fault a failure is."""

    MESSAGE = auto()
    SYSTEM = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Failure:
    """A message that could not be registered.

    Attributes:
        reason: why.
        path: of its file: which message.
        patient: PACS name and PatientID.
        series: SeriesInstanceUID.
    """

    reason: str
    path: str
    patient: tuple[str, str]
    series: str


@dataclass(slots=True)
class _Failures:
    """Failures for one reason since the last success: no more is kept than is counted."""

    since: float
    paths: set[str] = field(default_factory=set)
    patients: set[tuple[str, str]] = field(default_factory=set)
    series: set[str] = field(default_factory=set)

    def add(self, failure: Failure) -> None:
        if len(self.paths) < MESSAGES:
            self.paths.add(failure.path)
        if len(self.patients) < PATIENTS:
            self.patients.add(failure.patient)
        if len(self.series) < SERIES:
            self.series.add(failure.series)

    @property
    def are_of_the_system(self) -> bool:
        return len(self.paths) >= MESSAGES and self.are_of_many_patients and len(self.series) >= SERIES

    @property
    def are_of_many_patients(self) -> bool:
        return len(self.patients) >= PATIENTS


class Breaker:
    """Opens when failures are the system's; the next success closes it.

    Args:
        window: seconds within which a third patient must fail, or else it is the messages' fault.
        few_seconds: for which a message waits, and failures are too few to open it, before it is at fault.
        clock_seconds: by which a success must be later than what it is compared with.

    Attributes:
        open_for: the reason for which it is open; None while it is closed.
    """

    def __init__(
        self,
        window: float = WINDOW_SECONDS,
        few_seconds: float = FEW_SECONDS,
        clock_seconds: float = CLOCK_SECONDS,
    ) -> None:
        self._window = window
        self._few_seconds = few_seconds
        self._clock_seconds = clock_seconds
        self._failures: dict[str, _Failures] = {}
        self._last_success = float("-inf")
        self.open_for: str | None = None

    def succeeded(self, now: float) -> None:
        """A registration succeeded: the system is well."""
        self._last_success = now
        self.open_for = None
        if self._failures:
            self._failures.clear()

    def succeeded_since(self, then: float) -> bool:
        """Whether a registration succeeded later than `then`."""
        return self._last_success > then + self._clock_seconds

    def failed(self, failure: Failure, now: float, waiting_since: float | None) -> Blame:
        """Whose fault a failure is.

        Args:
            failure: what failed.
            now: seconds since the epoch.
            waiting_since: when the same message failed for this reason first; None if it has not before.
        """
        if failure.reason in OF_ONE_SERIES:
            return Blame.MESSAGE
        if waiting_since is not None and self.succeeded_since(waiting_since):
            return Blame.MESSAGE
        failures = self._failures.setdefault(failure.reason, _Failures(now))
        failures.add(failure)
        if self.open_for is None and failures.are_of_the_system:
            self.open_for = failure.reason
        if self.open_for is not None:
            return Blame.SYSTEM
        if now - failures.since >= self._window and not failures.are_of_many_patients:
            return Blame.MESSAGE
        if waiting_since is not None and now - max(failures.since, waiting_since) >= self._few_seconds:
            return Blame.MESSAGE
        return Blame.UNKNOWN
