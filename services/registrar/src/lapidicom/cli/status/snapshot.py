"""What one look saw, as values. What could not be seen is NotVisible, with the reason. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from lapidicom.cli.errors import NotVisible
from lapidicom.cli.services import Readiness


@dataclass(frozen=True, slots=True)
class BrokerLook:
    """RabbitMQ.

    Attributes:
        address: without credentials.
        fault: why it cannot be used; empty if it can.
        alarms: what is in alarm: nothing can be published meanwhile.
    """

    address: str
    fault: str = ""
    version: str | NotVisible = ""
    alarms: Sequence[str] | NotVisible = ()


@dataclass(frozen=True, slots=True)
class QueueLook:
    """A queue.

    Attributes:
        ready: messages that nobody holds.
        unacknowledged: messages in somebody's hands.
        consumers: of the queue.
        held_back: messages on their way to another queue by at-least-once dead-lettering.
        publish_rate: messages a second that came in.
        ack_rate: messages a second that were acknowledged.
    """

    ready: int
    unacknowledged: int | NotVisible
    consumers: int
    held_back: int | NotVisible
    publish_rate: float | NotVisible
    ack_rate: float | NotVisible

    @property
    def messages(self) -> int:
        """Ready and, as far as visible, unacknowledged ones: ready alone is 0 while somebody looks."""
        held = self.unacknowledged
        return self.ready if isinstance(held, NotVisible) else self.ready + held


Queue = QueueLook | NotVisible | None
"""None: there is no such queue."""


@dataclass(frozen=True, slots=True)
class DelayedLook:
    """All delay queues together: parked and retried messages, which nobody can tell apart.

    Attributes:
        messages: in all of them.
        missing: names of those that do not exist.
        held_back: messages on their way back by at-least-once dead-lettering.
    """

    messages: int
    missing: Sequence[str]
    held_back: int | NotVisible


@dataclass(frozen=True, slots=True)
class ReasonLook:
    """Dead letters of one reason.

    Attributes:
        oldest: when the oldest one died; None if unknown.
    """

    reason: str
    count: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class DeadLettersLook:
    """The dead letters.

    Attributes:
        count: how many there are.
        reasons: the most frequent one first.
    """

    count: int | NotVisible
    reasons: Sequence[ReasonLook] | NotVisible

    @property
    def oldest(self) -> datetime | None:
        """When the oldest one died, as far as is known."""
        if isinstance(self.reasons, NotVisible):
            return None
        return min((one.oldest for one in self.reasons if one.oldest is not None), default=None)


@dataclass(frozen=True, slots=True)
class Corrupted:
    """A place in a journal whose records cannot be read any more.

    Attributes:
        after: when the last record before it was made; None if that is not known.
        before: the same of the first record behind it.
    """

    after: datetime | None
    before: datetime | None


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """A journal that this version does not read.

    Attributes:
        path: of its folder, below the spool.
        reason: what of it is not known.
    """

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class JournalLook:
    """The journal of one life of a listener.

    Attributes:
        name: of its folder: receiver id and life.
        unrelayed_bytes: written and not known to be in RabbitMQ.
        oldest: when the oldest record was made that is not known to be in RabbitMQ; None if there is none.
        beat: when the owner's heartbeat was written last, by the volume's clock; None if there is none.
        finished: the owner's life has ended and everything of it is relayed.
        set_aside: records of which no message could be made.
        corrupted: places at which answered records cannot be read any more.
    """

    name: str
    unrelayed_bytes: int
    oldest: datetime | None
    beat: datetime | None
    finished: bool
    set_aside: int
    corrupted: Sequence[Corrupted] = ()


@dataclass(frozen=True, slots=True)
class CubeLook:
    """CUBE.

    Attributes:
        url: CHRIS_URL.
        reachable: it answered.
        generation: `CUBE up to v5` and the like.
        token_accepted: it answered an authenticated read of its database.
        may_register: CHRIS_USERNAME has the right.
        sees_our_files: it finds a file that is on the volume here; None: that cannot be asked.
        trouble: why nothing can be registered now; empty if it can.
        remedy: what to do about the trouble.
    """

    url: str
    reachable: bool
    generation: str
    token_accepted: bool
    may_register: bool
    sees_our_files: bool | None
    trouble: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class VolumeLook:
    """CUBE's storage root and the spool on it.

    Attributes:
        free_bytes: for the user of this process.
        inodes: free ones; None where the file system has no limit.
        sentinel: the volume's identity; empty if there is none: not mounted, or never used by a receiver.
        needed_bytes: CHRIS_MIN_FREE_SPACE as it is set here: below it receivers refuse.
        stored: path of one of its instances, for the question whether CUBE sees the same volume.
    """

    path: str
    free_bytes: int
    total_bytes: int
    inodes: int | None
    sentinel: str
    needed_bytes: int
    stored: str | NotVisible = field(default=NotVisible("nobody looked"), repr=False)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that one look saw.

    Attributes:
        held_back_seconds: for how long messages have been seen held back, if this is not the first look.
    """

    taken_at: datetime
    broker: BrokerLook
    work: Queue
    delayed: DelayedLook | NotVisible
    dead_letters: DeadLettersLook | NotVisible | None
    journals: Sequence[JournalLook] | NotVisible
    cube: CubeLook | NotVisible
    volume: VolumeLook | NotVisible
    receivers: Sequence[Readiness] | NotVisible
    registrars: Sequence[Readiness] | NotVisible
    left_alone: Sequence[LeftAlone] | NotVisible = ()
    held_back_seconds: float = 0.0

    @property
    def held_back(self) -> int | NotVisible:
        """Messages that at-least-once dead-lettering holds back, of work and delay queues."""
        if isinstance(self.delayed, NotVisible):
            return self.delayed
        if isinstance(self.delayed.held_back, NotVisible):
            return self.delayed.held_back
        of_work = self.work.held_back if isinstance(self.work, QueueLook) else 0
        return of_work if isinstance(of_work, NotVisible) else self.delayed.held_back + of_work
