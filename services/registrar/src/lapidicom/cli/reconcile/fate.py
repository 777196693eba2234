"""Why a stored file is not in CUBE, and so what is done about it. Pure."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from lapidicom.common.journal.records import time_of
from lapidicom.common.journal.survey import RelayState, SurveyedRecord

LEFT_TO_RECONCILE: Final = frozenset({"undecodable", "unsupported-version"})
"""Dead letters that no replay helps: a new message is what helps."""


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
    LATE = "late"
    """CUBE 6 has its series without it, and takes no more files of it: only healing helps."""
    UNREADABLE = "unreadable"
    """No journal tells of it, and its file does not say what CUBE must know."""


UNSETTLED: Final = frozenset({Fate.WAITING, Fate.NOT_RELAYED, Fate.YOUNG})
"""What another run must look at again: whether it will be registered is not known yet."""


@dataclass(slots=True)
class Missing:
    """A file that is on the volume and not in CUBE.

    Attributes:
        path: relative to the storage root. Patient data.
        received: by the file or its records, whichever is later; seconds since the epoch.
        record: the latest record that tells of it, if any.
        is_in_hand: a relay will come to one of its records.
        letter: id and reason of its dead letter, if there is one.
        is_late: CUBE has registered its series as a whole, without it.
    """

    path: str = field(repr=False)
    received: float
    record: SurveyedRecord | None = None
    is_in_hand: bool = False
    letter: tuple[str, str] | None = None
    is_late: bool = False
    _recorded: float = 0.0

    def note(self, entry: SurveyedRecord) -> None:
        """Take a record into account."""
        when = time_of(entry.record)
        recorded = when.timestamp() if when is not None else 0.0
        if recorded >= self._recorded:
            self.record, self._recorded = entry, recorded
        self.received = max(self.received, recorded)
        self.is_in_hand |= entry.relay in {RelayState.NOT_RELAYED, RelayState.BEHIND_MARK}

    def fate(self, *, settled_before: float, may_wait: bool) -> Fate:
        """Decide.

        Args:
            settled_before: what was received later is left alone; seconds since the epoch.
            may_wait: messages wait in RabbitMQ.
        """
        if self.letter is not None and self.letter[1].partition(":")[0] not in LEFT_TO_RECONCILE:
            return Fate.DEAD_LETTER
        if self.received > settled_before:
            return Fate.YOUNG
        if self.is_in_hand:
            return Fate.NOT_RELAYED
        if may_wait:
            return Fate.WAITING
        return Fate.LATE if self.is_late else Fate.LOST
