"""What hinders the registrar now: the reasons of /readyz, and what is degraded although it is ready."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from lapidicom.registrar.cube.outcomes import VOLUME_NOT_VISIBLE

PARKING_SECONDS: Final = 120.0
"""For so long messages may be parked without a success among them before that is a reason."""

MOST_FORMATS: Final = 10

EXPLANATIONS: Final = {
    "not_yet_visible": "CUBE does not find files that are on our mount: is its storage the same volume?",
    "file_not_visible": "CUBE fails, and files that receivers stored are not on our mount",
    "file-missing": "neither CUBE nor this registrar finds files that receivers stored: another volume?",
    "count-differs": "CUBE counts other files of series than our mount has: is its storage the same volume?",
    "files-missing": "files of series that receivers stored are not on our mount: another volume?",
    VOLUME_NOT_VISIBLE: "CUBE does not find files, and CHRIS_FILES_ROOT is not the receivers' volume here",
    "http_403": "something between this registrar and CUBE forbids registrations",
}


@dataclass(slots=True)
class Readiness:
    """Kept up to date by the registrar.

    Attributes:
        park_seconds: after which a parked message comes back.
        parking_seconds: for which messages may be parked without a success.
        clock: in seconds.
        cube: why CUBE takes no registrations; None if it does.
        consuming: whether deliveries come.
        stopping: whether the end has begun.
        publishing: tells whether there is a connection to publish on.
        open_for: tells why all messages fail alike; None if they do not.
        volume: tells what is wrong with our mount; None if nothing is.
        unclaimed: tells why it is not known whether our mount is the receivers'; None if it is.
    """

    park_seconds: float = 30.0
    parking_seconds: float = PARKING_SECONDS
    clock: Callable[[], float] = time.monotonic
    cube: str | None = "CUBE: not yet asked"
    consuming: bool = False
    stopping: bool = False
    publishing: Callable[[], bool] = field(default=lambda: False)
    open_for: Callable[[], str | None] = field(default=lambda: None)
    volume: Callable[[], str | None] = field(default=lambda: None)
    unclaimed: Callable[[], str | None] = field(default=lambda: None)
    _first_parked: float | None = None
    _last_parked: float = 0.0
    _parked_for: str = ""
    _unknown: dict[str, float] = field(default_factory=dict)

    def registered(self) -> None:
        """A registration succeeded."""
        self._first_parked = None

    def parked(self, reason: str) -> None:
        """A message was parked."""
        now = self.clock()
        if self._first_parked is None or self._is_over(self._last_parked, now):
            self._first_parked = now
        self._last_parked = now
        self._parked_for = reason

    def met_unknown_format(self, message_type: str, version: int) -> None:
        """A message was parked that this registrar cannot read."""
        name = f"{message_type if message_type.isidentifier() else '?'} version {version}"[:60]
        if name in self._unknown or len(self._unknown) < MOST_FORMATS:
            self._unknown[name] = self.clock()

    def reasons(self) -> list[str]:
        """Why the registrar is not ready; empty if it is."""
        given = [self.cube, self._failing(), self.volume()]
        if not self.consuming and self.cube is None:
            given.append("RabbitMQ: not consuming")
        if not self.publishing():
            given.append("RabbitMQ: no connection to publish on")
        if self.stopping:
            given.append("shutting down")
        return [reason for reason in given if reason is not None]

    def degraded(self) -> list[str]:
        """What is wrong although no other registrar would do better."""
        now = self.clock()
        self._unknown = {name: at for name, at in self._unknown.items() if not self._is_over(at, now)}
        formats = [
            f"messages wait that this registrar cannot read: {name}; upgrade it" for name in self._unknown
        ]
        unclaimed = self.unclaimed()
        return formats if unclaimed is None else [*formats, unclaimed]

    def _failing(self) -> str | None:
        """Why nothing is registered."""
        reason = self.open_for()
        if reason is None and self._first_parked is not None:
            now = self.clock()
            lasts = now - self._first_parked >= self.parking_seconds
            reason = self._parked_for if lasts and not self._is_over(self._last_parked, now) else None
        if reason is None or self.cube is not None:
            return None
        return f"no registration succeeds: {explained(reason)}"

    def _is_over(self, last: float, now: float) -> bool:
        """Whether what was parked has come back, and was not parked again."""
        return now - last > 2 * self.park_seconds + 10


def explained(reason: str) -> str:
    """A reason of a verdict in a sentence that says whose fault it is."""
    explanation = EXPLANATIONS.get(reason)
    return f"{explanation} ({reason})" if explanation else reason
