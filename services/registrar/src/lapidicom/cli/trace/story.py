"""What is known of one instance, and the state that follows from it. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from lapidicom.cli.errors import NotVisible
from lapidicom.common.journal.survey import Relay

MOST_EVENTS: Final = 200
"""Of one instance; what lies between the first and the last ones is only counted."""


class State(StrEnum):
    """Where an instance is, in the order in which a series is as bad as its worst instance."""

    DEAD_LETTER = "dead letter"
    SET_ASIDE = "set aside"
    """Its record is such that no message could be made of it."""
    REFUSED = "refused"
    STORED = "stored"
    """On the volume, but nothing tells that its registration was ever asked for."""
    WAITING = "waiting"
    """Relayed, not in CUBE, not a dead letter: in the work queue, a delay queue or a registrar's hands."""
    NOT_RELAYED = "not relayed"
    """In the journal; its message is not in RabbitMQ yet."""
    UNSEEN = "not visible"
    """Stored, and relayed as far as anybody tells; what became of it cannot be seen from here."""
    REGISTERED = "registered"
    UNKNOWN = "unknown"


EXIT_STATUSES: Final = MappingProxyType(
    {
        State.REGISTERED: 0,
        State.UNKNOWN: 1,
        State.WAITING: 10,
        State.NOT_RELAYED: 11,
        State.DEAD_LETTER: 12,
        State.REFUSED: 13,
        State.SET_ASIDE: 14,
        State.STORED: 15,
        State.UNSEEN: 16,
    }
)
"""Of `lapidicom trace`; 2 and 3 mean what they mean everywhere."""


class Kind(StrEnum):
    """What happened to an instance."""

    RECEIVED = "received"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Event:
    """One reception, or one refusal.

    Attributes:
        kind: which.
        when: by the receiver's clock; None if its record tells none.
        calling_ae_title: of the SCU.
        called_ae_title: as which we were called; empty for a refusal.
        peer_address: host:port of the SCU.
        receiver: CHRIS_RECEIVER_ID.
        association_id: of the association.
        relay: how far the relay is with its record.
        status: of the C-STORE response; empty for a success.
        reason: the Error Comment; names the tag and the fault, never a value.
        tags: the offending elements.
    """

    kind: Kind
    when: datetime | None
    calling_ae_title: str
    called_ae_title: str
    peer_address: str
    receiver: str
    association_id: str
    relay: Relay
    status: str = ""
    reason: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter about this instance.

    Attributes:
        id: by which `lapidicom dlq` names it.
        reason: why it is one.
        meaning: of that reason.
        remedy: what to do.
        died_at: when it became one.
        http_status: of CUBE's last answer.
        attempts: spent.
    """

    id: str
    reason: str
    meaning: str
    remedy: str
    died_at: datetime | None
    http_status: int | None
    attempts: int


@dataclass(frozen=True, slots=True)
class InCube:
    """Its registration.

    Attributes:
        url: CUBE's link; empty if CUBE cannot list it because its file is gone.
        registered_at: as CUBE tells it.
    """

    url: str
    registered_at: str


@dataclass(slots=True)
class Story:
    """All that is known of one instance from one PACS, filed under one path.

    Attributes:
        sop_uid: SOPInstanceUID; empty if a refusal did not tell it.
        pacs_name: sanitised calling AE title.
        path: relative to the storage root; empty if it was only refused. Patient data.
        series_uid: SeriesInstanceUID, if known.
        size: of the file as last recorded, bytes.
        events: in the order of time.
        omitted: events that are not kept.
        letters: dead letters.
        file: size of the file on the volume; None: there is none.
        cube: its registration; None: there is none.
    """

    sop_uid: str
    pacs_name: str
    path: str = field(default="", repr=False)
    series_uid: str = ""
    size: int | None = None
    events: list[Event] = field(default_factory=list)
    omitted: int = 0
    letters: list[Letter] = field(default_factory=list)
    file: int | NotVisible | None = None
    cube: InCube | NotVisible | None = None

    def add(self, event: Event) -> None:
        """Note what happened; the first and the last events are kept."""
        self.events.append(event)
        if len(self.events) > MOST_EVENTS:
            del self.events[MOST_EVENTS // 2]
            self.omitted += 1

    def sort(self) -> None:
        """Bring the events of several journals into the order of time."""
        self.events.sort(key=lambda event: event.when.timestamp() if event.when else 0.0)

    @property
    def state(self) -> State:
        """Where it is now."""
        if isinstance(self.cube, InCube):
            return State.REGISTERED
        if self.letters:
            return State.DEAD_LETTER
        received = [event.relay for event in self.events if event.kind is Kind.RECEIVED]
        if received:
            return self._on_its_way(received)
        if any(event.kind is Kind.REFUSED for event in self.events):
            return State.REFUSED
        if not isinstance(self.file, int):
            return State.UNKNOWN
        return State.UNSEEN if isinstance(self.cube, NotVisible) else State.STORED

    def _on_its_way(self, relays: Iterable[Relay]) -> State:
        known = set(relays)
        if known & {Relay.NOT_RELAYED, Relay.BEHIND_MARK}:
            return State.NOT_RELAYED
        if known == {Relay.SET_ASIDE}:
            return State.SET_ASIDE
        return State.UNSEEN if isinstance(self.cube, NotVisible) else State.WAITING


def worst(states: Iterable[State]) -> State:
    """The state of a series."""
    order = list(State)
    return min(states, key=order.index, default=State.UNKNOWN)


def counts(stories: Iterable[Story]) -> Mapping[State, int]:
    """How many are in each state, the worst first."""
    found = [story.state for story in stories]
    return {state: found.count(state) for state in State if state in found}
