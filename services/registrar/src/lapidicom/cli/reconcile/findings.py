"""What is missing where, and what follows from it. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from lapidicom.common.journal.survey import RelayState

MOST_SHOWN: Final = 1000
"""Findings of one kind that are kept with their paths; beyond that they are only counted."""

LEFT_TO_RECONCILE: Final = frozenset({"undecodable", "unsupported-version"})
"""Dead letters that no replay helps: a new message is what helps."""


class Fate(StrEnum):
    """Why a stored file is not in CUBE, and so what is done about it."""

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


HELP: Final = {
    Fate.LOST: "",
    Fate.DEAD_LETTER: "`lapidicom dlq list` tells why, `lapidicom dlq replay` sends them again",
    Fate.NOT_RELAYED: "the relay sends them when RabbitMQ takes them; see `lapidicom status`",
    Fate.WAITING: "come back when the queues are empty, or --even-if-waiting (a second message does no harm)",
    Fate.YOUNG: "come back later, or --older-than",
    Fate.UNREADABLE: "the file is no DICOM file that could be registered; look at it",
}
"""What to do about those that are not enqueued."""


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
        fate: what is done about it; None as long as that is open.
        why: more about the fate, without values.
    """

    path: str = field(repr=False)
    modified: float
    record: Recorded | None = None
    letter: tuple[str, str] | None = None
    fate: Fate | None = None
    why: str = ""

    def judge(self, *, settled_before: float, may_wait: bool) -> Fate:
        """Decide.

        Args:
            settled_before: what was received later is left alone; seconds since the epoch.
            may_wait: messages wait in RabbitMQ.
        """
        self.fate = self._fate(settled_before, may_wait=may_wait)
        return self.fate

    def _fate(self, settled_before: float, *, may_wait: bool) -> Fate:
        if self.letter is not None and self.letter[1].partition(":")[0] not in LEFT_TO_RECONCILE:
            self.why = f"{self.letter[1]} ({self.letter[0]})"
            return Fate.DEAD_LETTER
        record = self.record
        latest = self.modified
        if record is not None and record.received_at is not None:
            latest = max(latest, record.received_at.timestamp())
        if latest > settled_before:
            return Fate.YOUNG
        if record is not None and record.relay in {RelayState.NOT_RELAYED, RelayState.BEHIND_MARK}:
            return Fate.NOT_RELAYED
        return Fate.WAITING if may_wait else Fate.LOST


@dataclass(slots=True)
class Sample:
    """Paths of one kind: all counted, the first ones kept."""

    count: int = 0
    first: list[tuple[str, str]] = field(default_factory=list)

    def add(self, path: str, why: str = "") -> None:
        """Note one."""
        self.count += 1
        if len(self.first) < MOST_SHOWN:
            self.first.append((path, why))


@dataclass(slots=True)
class Findings:
    """All that a run has found.

    Attributes:
        folders: series folders that were looked at.
        files: instances in them.
        registered: of these in CUBE.
        missing: on the volume and not in CUBE, by fate.
        only_in_cube: registered, not on the volume as seen from here.
        lost_by_cube: rows whose file CUBE itself does not find: it cannot name them.
        rows_elsewhere: registered files below the PACS' folders, in folders that are not on the volume.
        only_in_journal: in the journal as stored, and no file.
        enqueued: messages published and confirmed.
        taken_meanwhile: registered between the look and the enqueueing.
        left_before: what earlier runs, on which this one goes on, found missing and did not enqueue.
    """

    folders: int = 0
    files: int = 0
    registered: int = 0
    missing: dict[Fate, Sample] = field(default_factory=lambda: {fate: Sample() for fate in Fate})
    only_in_cube: Sample = field(default_factory=Sample)
    lost_by_cube: int = 0
    rows_elsewhere: Counter[str] = field(default_factory=Counter)
    only_in_journal: Sample = field(default_factory=Sample)
    enqueued: int = 0
    taken_meanwhile: int = 0
    left_before: int = 0

    def note(self, missing: Iterable[Missing]) -> None:
        """Count what was judged."""
        for one in missing:
            if one.fate is not None:
                self.missing[one.fate].add(one.path, one.why)

    @property
    def left(self) -> int:
        """Files that are neither registered nor enqueued; too young ones do not count."""
        others = sum(kept.count for fate, kept in self.missing.items() if fate not in (Fate.LOST, Fate.YOUNG))
        return others + self.missing[Fate.LOST].count - self.enqueued - self.taken_meanwhile

    @property
    def unsound(self) -> int:
        """What is missing in the folders that were looked at, by this run and those before it."""
        return self.left_before + self.left + self.only_in_cube.count + self.lost_by_cube

    @property
    def is_sound(self) -> bool:
        """Nothing is missing anywhere any more, but for what is on its way by this run."""
        elsewhere = sum(self.rows_elsewhere.values()) + self.only_in_journal.count
        return self.unsound == 0 and elsewhere == 0
