"""Why a stored file is not in CUBE, and so what is done about it. Pure."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from lapidicom.common.journal.survey import RelayState

LEFT_TO_RECONCILE: Final = frozenset({"undecodable", "unsupported-version"})
"""Dead letters that no replay helps: a new message is what helps."""

IN_HAND: Final = frozenset({RelayState.NOT_RELAYED, RelayState.BEHIND_MARK})
"""A relay will come to such a record."""


class Fate(StrEnum):
    """Why it is not in CUBE."""

    LOST = "lost"
    """Nothing on its way would register it: it is enqueued."""
    DEAD_LETTER = "dead letter"
    NOT_RELAYED = "not relayed"
    WAITING = "waiting"
    """Messages wait in RabbitMQ, and its own may be one of them."""
    YOUNG = "too young"
    """Received just now: left alone."""
    UNREADABLE = "unreadable"
    """No journal tells of it, and its file does not say what CUBE must know."""


UNSETTLED: Final = frozenset({Fate.WAITING, Fate.NOT_RELAYED, Fate.YOUNG})
"""What another run must look at again: whether it will be registered is not known yet."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """The latest record of a file.

    Attributes:
        lapidicom_id: of its message: `<life>.<sequence>`.
        message: the body of its message, as it was recorded.
        relay: how far the relay is, at the least of all its records.
        received_at: by the receiver's clock; None if it tells none.
    """

    lapidicom_id: str
    message: bytes = field(repr=False)
    relay: RelayState = RelayState.RELAYED
    received_at: datetime | None = None


@dataclass(slots=True)
class Missing:
    """A file that is on the volume and not in CUBE.

    Attributes:
        path: relative to the storage root. Patient data.
        modified: seconds since the epoch.
        record: the latest record that tells of it, if any.
        letter: id and reason of its dead letter, if there is one.
    """

    path: str = field(repr=False)
    modified: float
    record: Recorded | None = None
    letter: tuple[str, str] | None = None

    def fate(self, *, settled_before: float, may_wait: bool) -> Fate:
        """Decide.

        Args:
            settled_before: what was received later is left alone; seconds since the epoch.
            may_wait: messages wait in RabbitMQ.
        """
        if self.letter is not None and self.letter[1].partition(":")[0] not in LEFT_TO_RECONCILE:
            return Fate.DEAD_LETTER
        record, latest = self.record, self.modified
        if record is not None and record.received_at is not None:
            latest = max(latest, record.received_at.timestamp())
        if latest > settled_before:
            return Fate.YOUNG
        if record is not None and record.relay in IN_HAND:
            return Fate.NOT_RELAYED
        return Fate.WAITING if may_wait else Fate.LOST
