"""What `status` sees, as one model. What cannot be seen is null; its reason stands in `not_visible`. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

from pydantic import Field

from lapidicom.cli.answers import Answer
from lapidicom.cli.times import age

_MOST_REASONS: Final = 6
_NO_QUEUE: Final = "there is no such queue"


class BrokerLook(Answer):
    """RabbitMQ: address without credentials, why it cannot be used, and what is in alarm."""

    address: str
    fault: str = ""
    version: str | None = None
    alarms: list[str] | None = None

    def __str__(self) -> str:
        alarms = "alarms ?" if self.alarms is None else ", ".join(self.alarms) or "no alarms"
        return (
            f"{self.address}: {self.fault}" if self.fault else f"{self.version} at {self.address}; {alarms}"
        )


class QueueLook(Answer):
    """A queue. `held_back`: messages on their way to another queue by at-least-once dead-lettering."""

    ready: int
    unacknowledged: int | None = None
    consumers: int = 0
    held_back: int | None = None
    publish_rate: float | None = None
    ack_rate: float | None = None

    @property
    def messages(self) -> int:
        """Ready and, as far as visible, unacknowledged ones: ready alone is 0 while somebody looks."""
        return self.ready + (self.unacknowledged or 0)

    def __str__(self) -> str:
        consumers = f"{self.consumers} consumer{'' if self.consumers == 1 else 's'}"
        rates = f"in {_shown(self.publish_rate)}/s, out {_shown(self.ack_rate)}/s"
        return f"{self.ready} ready; {_shown(self.unacknowledged)} unacknowledged; {consumers}; {rates}"


class DelayedLook(Answer):
    """All delay queues together: parked and retried messages, which nobody can tell apart."""

    messages: int
    missing: list[str] = []
    held_back: int | None = None

    def __str__(self) -> str:
        return f"{self.messages} parked or retried; {_shown(self.held_back)} held back by dead-lettering"


class ReasonLook(Answer):
    """Dead letters of one reason."""

    reason: str
    count: int
    oldest: datetime | None = None

    def __str__(self) -> str:
        return f"{self.count} {self.reason}" + (f" (oldest {age(self.oldest)})" if self.oldest else "")


class DeadLettersLook(Answer):
    """The dead letters, the most frequent reason first; null where another operator has them."""

    count: int | None = None
    reasons: list[ReasonLook] | None = None

    def __str__(self) -> str:
        if self.reasons is None:
            return f"{_shown(self.count)}; another operator is at them"
        more = len(self.reasons) - _MOST_REASONS
        text = [*map(str, self.reasons[:_MOST_REASONS]), *([f"{more} more reasons"] if more > 0 else [])]
        return "; ".join(text) or "none"


class Corrupted(Answer):
    """A place in a journal whose records cannot be read: when the records around it were made, if known."""

    after: datetime | None
    before: datetime | None


class LeftAlone(Answer):
    """A journal that this version does not read: its folder below the spool, and what is not known of it."""

    path: str
    reason: str


class Refusals(Answer):
    """Instances that were refused for one reason; `status`: of the C-STORE response."""

    status: str
    reason: str
    count: int
    latest: datetime


class JournalLook(Answer):
    """The journal of one life of a listener.

    `unrelayed_bytes` and `oldest` tell of what is not known to be in RabbitMQ; `beat`: when the owner's
    heartbeat was written last; `finished`: its life has ended and everything is relayed; `set_aside`: records
    of which no message could be made; `corrupted`: places at which answered records cannot be read any more;
    `refused` and `last_stored`: what the last five minutes brought.
    """

    name: str
    unrelayed_bytes: int
    oldest: datetime | None
    beat: datetime | None
    finished: bool
    set_aside: int
    corrupted: list[Corrupted] = []
    refused: list[Refusals] = []
    last_stored: datetime | None = None


class CubeLook(Answer):
    """CUBE. `sees_our_files`: it finds a file that is on the volume here; null: that cannot be asked."""

    url: str
    reachable: bool
    generation: str
    token_accepted: bool
    may_register: bool
    sees_our_files: bool | None = None
    trouble: str = ""
    remedy: Annotated[str, Field(exclude=True)] = ""

    def __str__(self) -> str:
        sees = "sees our files" if self.sees_our_files else "whether it sees our files is not known"
        return self.trouble or f"{self.generation} at {self.url}; token accepted, database answers, {sees}"


class VolumeLook(Answer):
    """CUBE's storage root and the spool on it; `inodes`: null where the file system has no limit."""

    path: str
    free_bytes: int
    total_bytes: int
    inodes: int | None
    sentinel: str
    needed_bytes: int

    def __str__(self) -> str:
        sentinel = f"sentinel {self.sentinel[:8]}" if self.sentinel else "no sentinel"
        return f"{size(self.free_bytes)} free of {size(self.total_bytes)} at {self.path}; {sentinel}"


class ServiceLook(Answer):
    """What one process of a service says of itself: why it is not ready or degraded, or cannot be asked."""

    service: str
    address: str
    ready: bool
    reasons: list[str] = []


class Snapshot(Answer):
    """Everything that one look saw; `held_back_seconds`: for how long, if this is not the first look."""

    taken_at: datetime
    broker: BrokerLook
    work: QueueLook | None = None
    delayed: DelayedLook | None = None
    dead_letters: DeadLettersLook | None = None
    missing: list[str] = []
    """Queues that do not exist."""
    journals: list[JournalLook] | None = None
    left_alone: list[LeftAlone] | None = None
    cube: CubeLook | None = None
    volume: VolumeLook | None = None
    receivers: list[ServiceLook] | None = None
    registrars: list[ServiceLook] | None = None
    held_back: int | None = None
    oldest_unrelayed: datetime | None = None
    not_visible: dict[str, str] = {}
    held_back_seconds: Annotated[float, Field(exclude=True)] = 0.0

    def lines(self) -> list[tuple[str, str, str, str]]:
        """For each area its title, its name in findings, its key here, and what was seen."""
        return [
            ("receivers", "receivers", "receivers", _ready(self.receivers)),
            ("volume", "volume", "volume", str(self.volume)),
            ("journals", "journals", "journals", self._journals()),
            ("RabbitMQ", "broker", "broker", str(self.broker)),
            ("work queue", "work", "work", str(self.work or _NO_QUEUE)),
            ("delayed", "delayed", "delayed", str(self.delayed)),
            (
                "dead letters",
                "dead letters",
                "dead_letters",
                str(self.dead_letters or "there is no such queue"),
            ),
            ("registrars", "registrars", "registrars", _ready(self.registrars)),
            ("CUBE", "cube", "cube", str(self.cube)),
        ]

    def _journals(self) -> str:
        journals = self.journals or []
        under_way = sum(not one.finished for one in journals)
        text = f"{under_way} under way, {len(journals) - under_way} finished"
        if self.oldest_unrelayed is None:
            return f"{text}; all relayed"
        waiting = size(sum(one.unrelayed_bytes for one in journals))
        return f"{text}; {waiting} not relayed, oldest {age(self.oldest_unrelayed)}"


def _ready(text: Sequence[ServiceLook] | None) -> str:
    ready = [one.address for one in text or () if one.ready]
    return f"{len(ready)} of {len(text or ())} ready" + (f": {', '.join(ready)}" if ready else "")


def _shown(value: float | None) -> str:
    return "?" if value is None else f"{value:g}"


def size(number: float) -> str:
    """Bytes with a binary prefix, such as `1.5 GiB`."""
    for prefix in ("", "Ki", "Mi", "Gi"):
        if number < 1024:
            return f"{number:.1f} {prefix}B" if prefix else f"{number} B"
        number /= 1024
    return f"{number:.1f} TiB"
