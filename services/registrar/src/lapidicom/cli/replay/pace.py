"""How fast a replay goes, and when it stops by itself. Pure code."""

from dataclasses import dataclass

STOP_AFTER = 10
"""Messages of a replay that may come back before it stops by itself."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The pace of a replay.

    Attributes:
        rate: messages a second; None for as fast as RabbitMQ takes them.
        batch: messages in flight at once; also the most that an interrupted replay leaves in doubt.
        held_seconds: for how long letters are held before they are given back and taken again: RabbitMQ
            closes a channel that holds one for 30 minutes.
        stop_after: new dead letters since the start at which it stops; None never does.
    """

    rate: float | None = None
    batch: int = 200
    held_seconds: float = 600.0
    stop_after: int | None = STOP_AFTER

    @property
    def in_flight(self) -> int:
        """Messages of one batch: with a rate no more than it gives in a second."""
        return self.batch if self.rate is None else max(1, min(self.batch, int(self.rate)))

    def due(self, sent: int) -> float:
        """Seconds after the start at which so many may have been sent."""
        return 0.0 if self.rate is None else sent / self.rate

    def stops_at(self, new: int) -> bool:
        """Whether so many new dead letters are too many."""
        return self.stop_after is not None and new >= self.stop_after
