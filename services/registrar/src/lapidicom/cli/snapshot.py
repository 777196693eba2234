"""What `status` sees, as one model, and how its screen says it. What cannot be seen is NotVisible. Pure."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar

from pydantic import SerializerFunctionWrapHandler, WrapSerializer, computed_field

from lapidicom.cli.answers import Answer, Check, NotVisible, Result
from lapidicom.cli.times import age
from lapidicom.common.journal.bad_lines import BadLines
from lapidicom.common.journal.reader import UnknownJournal

T = TypeVar("T")

_MOST_REASONS: Final = 6


def _null(value: Any, dump: SerializerFunctionWrapHandler) -> Any:
    return None if isinstance(value, NotVisible) else dump(value)


Seen = Annotated[T | NotVisible, WrapSerializer(_null)]
"""Null in JSON where it is not visible; the reason stands in `not_visible` of the whole."""


class BrokerLook(Answer):
    """RabbitMQ: address without credentials, why it cannot be used, and what is in alarm."""

    address: str
    fault: str = ""
    version: str | None = None
    alarms: Seen[list[str]] = NotVisible("RabbitMQ is not reachable")

    def __str__(self) -> str:
        alarms = "alarms ?" if isinstance(self.alarms, NotVisible) else ", ".join(self.alarms) or "no alarms"
        return (
            f"{self.address}: {self.fault}" if self.fault else f"{self.version} at {self.address}; {alarms}"
        )


class QueueLook(Answer):
    """A queue. `held_back`: messages on their way to another queue by at-least-once dead-lettering."""

    ready: int
    consumers: int
    unacknowledged: Seen[int]
    held_back: Seen[int]
    publish_rate: Seen[float]
    ack_rate: Seen[float]

    @property
    def messages(self) -> int:
        """Ready and, as far as visible, unacknowledged ones: ready alone is 0 while somebody looks."""
        return self.ready + (0 if isinstance(self.unacknowledged, NotVisible) else self.unacknowledged)

    def __str__(self) -> str:
        consumers = f"{self.consumers} consumer{'' if self.consumers == 1 else 's'}"
        rates = f"in {_shown(self.publish_rate)}/s, out {_shown(self.ack_rate)}/s"
        return f"{self.ready} ready; {_shown(self.unacknowledged)} unacknowledged; {consumers}; {rates}"


class DelayedLook(Answer):
    """All delay queues together: parked and retried messages, which nobody can tell apart."""

    messages: int
    missing: list[str] = []
    held_back: Seen[int]

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
    """The dead letters, the most frequent reason first; not by reason where another operator has them."""

    count: Seen[int]
    reasons: Seen[list[ReasonLook]]

    def __str__(self) -> str:
        if isinstance(self.reasons, NotVisible):
            return f"{_shown(self.count)}; another operator is at them"
        more = len(self.reasons) - _MOST_REASONS
        text = [*map(str, self.reasons[:_MOST_REASONS]), *([f"{more} more reasons"] if more > 0 else [])]
        return "; ".join(text) or "none"


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
    corrupted: list[BadLines] = []
    refused: list[Refusals] = []
    last_stored: datetime | None = None


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

    @property
    def fault(self) -> str:
        """What is wrong with it, as a sentence without its name; empty if nothing is."""
        if self.ready and not self.reasons:
            return ""
        state = "is degraded" if self.ready else "is not ready"
        return f"{state}: {'; '.join(self.reasons) or 'it does not say why'}"


class Snapshot(Answer):
    """Everything that one look saw; a queue is null if there is none of its name."""

    taken_at: datetime
    broker: BrokerLook
    work: Seen[QueueLook | None]
    delayed: Seen[DelayedLook]
    dead_letters: Seen[DeadLettersLook | None]
    journals: Seen[list[JournalLook]]
    left_alone: Seen[list[UnknownJournal]]
    cube: Seen[list[Check]]
    """Step by step, up to the first that fails."""
    volume: Seen[VolumeLook]
    receivers: Seen[list[ServiceLook]]
    registrars: Seen[list[ServiceLook]]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def oldest_unrelayed(self) -> datetime | None:
        """When the oldest record was made that is not in RabbitMQ."""
        journals = [] if isinstance(self.journals, NotVisible) else self.journals
        return min((one.oldest for one in journals if one.oldest), default=None)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def not_visible(self) -> dict[str, str]:
        """The reason for each null, by its dotted key."""
        return dict(sorted(_unseen(self)))

    def text(self, name: str) -> str:
        """What the screen says of one field."""
        match value := getattr(self, name):
            case None:
                return "there is no such queue"
            case [Check(), *_]:
                failed = [one.seen for one in value if one.result is Result.FAIL]
                steps = ", ".join(f"{one.name} {'ok' if one.result is Result.PASS else '?'}" for one in value)
                return failed[0] if failed else f"{value[0].seen}: {steps}"
            case list() if name == "journals":
                return self._journals(value)
            case list():
                ready = [one.address for one in value if one.ready]
                return f"{len(ready)} of {len(value)} ready" + (f": {', '.join(ready)}" if ready else "")
        return str(value)

    def _journals(self, journals: list[JournalLook]) -> str:
        under_way = sum(not one.finished for one in journals)
        text = f"{under_way} under way, {len(journals) - under_way} finished"
        if self.oldest_unrelayed is None:
            return f"{text}; all relayed"
        waiting = size(sum(one.unrelayed_bytes for one in journals))
        return f"{text}; {waiting} not relayed, oldest {age(self.oldest_unrelayed)}"


def _unseen(model: Answer, prefix: str = "") -> Iterator[tuple[str, str]]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, NotVisible):
            yield f"{prefix}{name}", value.reason
        elif isinstance(value, Answer):
            yield from _unseen(value, f"{prefix}{name}.")


def _shown(value: float | NotVisible) -> str:
    return "?" if isinstance(value, NotVisible) else f"{value:g}"


def size(number: float) -> str:
    """Bytes with a binary prefix, such as `1.5 GiB`."""
    for prefix in ("", "Ki", "Mi", "Gi"):
        if number < 1024:
            return f"{number:.1f} {prefix}B" if prefix else f"{number} B"
        number /= 1024
    return f"{number:.1f} TiB"
