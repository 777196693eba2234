"""What a trace answers: instances with what happened to them, and the state that follows from it. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field

from lapidicom.cli.answers import HIDDEN, NUMBER, Answer, Display
from lapidicom.cli.times import moment
from lapidicom.common.journal.survey import RelayState

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

MEANINGS: Final = MappingProxyType(
    {
        State.REGISTERED: "CUBE has it.",
        State.DEAD_LETTER: "It could not be registered.",
        State.SET_ASIDE: "Its record is faulty: look at the .aside file of the journal.",
        State.REFUSED: "The SCU got a failure; nothing is stored, and the SCU still has its copy.",
        State.STORED: "It is on the volume, not in CUBE, and no record, message or dead letter names it: "
        "`lapidicom reconcile` enqueues it.",
        State.WAITING: "Relayed, not in CUBE, not a dead letter.",
        State.NOT_RELAYED: "It is in the journal; the relay sends it when RabbitMQ takes it.",
        State.UNSEEN: "It is stored; whether it is registered is not visible from here.",
        State.UNKNOWN: "Nobody who could be asked knows it.",
    }
)

_RELAYS: Final = {
    RelayState.RELAYED: "relayed to RabbitMQ",
    RelayState.NOT_RELAYED: "not relayed yet",
    RelayState.BEHIND_MARK: "not answered yet, or never",
    RelayState.NEVER_ANSWERED_OR_RELAYED: "relayed if its file was whole, else never answered",
    RelayState.SET_ASIDE: "set aside: no message can be made of it",
}


class Kind(StrEnum):
    """What happened to an instance."""

    RECEIVED = "received"
    REFUSED = "refused"


class Event(Answer):
    """One reception, or one refusal.

    `when` is by the receiver's clock; `relay`: how far the relay is with the record of a reception; `status`,
    `reason` (the Error Comment: tag and fault, never a value) and `tags` are of a refusal.
    """

    when: Annotated[datetime | None, Display(form=moment)]
    event: Annotated[Kind, Display("what")]
    calling_ae_title: Annotated[str, Display("calling AE")]
    called_ae_title: Annotated[str, Display("called AE")] = ""
    peer_address: Annotated[str, Display("peer")]
    receiver: str
    association_id: Annotated[str, HIDDEN]
    relay: Annotated[RelayState | None, Display("then", form=lambda relay: _RELAYS[relay])] = None
    status: str | None = None
    reason: str | None = None
    tags: list[str] = []


class Letter(Answer):
    """A dead letter about an instance, or about a series as a whole."""

    id: str
    died_at: Annotated[datetime | None, Display("since", form=moment)]
    reason: str
    http_status: Annotated[int | None, Display("HTTP", right=True)]
    attempts: Annotated[int, NUMBER]
    meaning: Annotated[str, HIDDEN]
    remedy: Annotated[str, Display("what to do")]

    def __str__(self) -> str:
        return f"{self.reason} ({self.id})"


class InCube(Answer):
    """A registration; `url` is null if CUBE cannot list it because it does not find the file."""

    url: str | None = None
    registered_at: str | None = None

    def __str__(self) -> str:
        return self.url or "registered, but CUBE does not find its file"


class Instance(Answer):
    """All that is known of one instance from one PACS, filed under one path.

    `SOPInstanceUID` is empty if a refusal did not tell it, `path` (patient data) if it was only refused;
    `size` is as last recorded, `file_size` that of the file on the volume, if there is one.
    """

    model_config = ConfigDict(frozen=False)

    SOPInstanceUID: Annotated[str, Display("instance")]
    SeriesInstanceUID: Annotated[str, HIDDEN] = ""
    pacs_name: Annotated[str, Display("PACS")] = ""
    path: Annotated[str, HIDDEN] = Field(default="", repr=False)
    state: State = State.UNKNOWN
    size: Annotated[int | None, HIDDEN] = None
    file_size: Annotated[int | None, Display("bytes on the volume", right=True)] = None
    cube: Annotated[InCube | None, Display("CUBE")] = None
    dead_letters: list[Letter] = []
    events: Annotated[list[Event], HIDDEN] = []
    events_omitted: Annotated[int, HIDDEN] = 0

    def add(self, event: Event) -> None:
        """Note what happened; the first and the last events are kept."""
        self.events.append(event)
        if len(self.events) > MOST_EVENTS:
            del self.events[MOST_EVENTS // 2]
            self.events_omitted += 1

    def sort(self) -> None:
        """Bring the events of several journals into the order of time."""
        self.events.sort(key=lambda event: event.when.timestamp() if event.when else 0.0)

    def judge(self, *, sees_cube: bool) -> None:
        """Say where it is now; without CUBE nobody guesses whether it is registered."""
        self.state = self._judged(State.STORED if sees_cube else State.UNSEEN, sees_cube=sees_cube)

    def _judged(self, stored: State, *, sees_cube: bool) -> State:
        if self.cube is not None:
            return State.REGISTERED
        if self.dead_letters:
            return State.DEAD_LETTER
        relays = {event.relay for event in self.events if event.event is Kind.RECEIVED}
        if relays & {RelayState.NOT_RELAYED, RelayState.BEHIND_MARK}:
            return State.NOT_RELAYED
        if relays == {RelayState.SET_ASIDE}:
            return State.SET_ASIDE
        if relays:
            return State.WAITING if sees_cube else State.UNSEEN
        if self.events:
            return State.REFUSED
        return State.UNKNOWN if self.file_size is None else stored


class AssociationEnd(Answer):
    """What one association brought of a series, as its SeriesReceived message tells."""

    ended_at: Annotated[datetime | None, Display("ended", form=moment)] = None
    calling_ae_title: Annotated[str, Display("calling AE")] = ""
    called_ae_title: Annotated[str, Display("called AE")] = ""
    peer_address: Annotated[str, Display("peer")] = ""
    receiver: str = ""
    association_id: Annotated[str, HIDDEN] = ""
    received: Annotated[int, NUMBER] = 0
    refused: Annotated[int, NUMBER] = 0
    ok: Annotated[
        bool, Display(form=lambda ok: "" if ok else "the receiver ended before the association")
    ] = False


class Detail(Answer):
    """One instance by itself, as text."""

    shown: ClassVar[tuple[str, ...]] = ("series", "path", "volume", "cube", "dead_letters", "events")

    title: list[str]
    series: str
    path: str
    volume: str
    cube: Annotated[str, Display("CUBE")]
    dead_letters: list[Letter]
    events: Annotated[list[Event], Display("")]

    def headline(self) -> list[str]:
        """Which instance, its state, and what that means."""
        return self.title

    @classmethod
    def of(cls, one: Instance, *, sees_volume: bool, sees_cube: bool) -> "Detail":
        """Make the texts of an instance."""
        uid, pacs = one.SOPInstanceUID or "unknown", one.pacs_name or "unknown"
        title = [f"SOP Instance {uid} of PACS {pacs}: {one.state}", MEANINGS[one.state]]
        if one.events_omitted:
            title.append(f"{one.events_omitted} events in the middle are left out")
        return cls(
            title=title,
            series=one.SeriesInstanceUID,
            path=one.path,
            volume=_volume(one) if one.path and sees_volume else "",
            cube=str(one.cube or "not registered") if one.path and sees_cube else "",
            dead_letters=one.dead_letters,
            events=one.events,
        )


def _volume(one: Instance) -> str:
    if one.file_size is None:
        return "no file"
    differs = one.size is not None and one.size != one.file_size
    return f"{one.file_size} bytes" + (f", {one.size} were recorded" if differs else "")


def worst(states: Iterable[State]) -> State:
    """The state of a series."""
    return min(states, key=list(State).index, default=State.UNKNOWN)


def counts(instances: Iterable[Instance]) -> Mapping[State, int]:
    """How many are in each state, the worst first."""
    found = [one.state for one in instances]
    return {state: found.count(state) for state in State if state in found}
