"""What a trace answers: instances with what happened to them, and the state that follows from it. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import ConfigDict, Field

from lapidicom.cli.answers import HIDDEN, NUMBER, Answer, Display, NotVisible
from lapidicom.cli.queues import Waiting
from lapidicom.cli.third_count import SeriesCounts, series_counts
from lapidicom.cli.times import moment
from lapidicom.common.c_find import Count, NoCount
from lapidicom.common.journal.survey import RelayState


class Subject(StrEnum):
    """What is traced, as the journals, CUBE or a dead letter have it; the smallest thing first."""

    INSTANCE = "SOPInstanceUID"
    SERIES = "SeriesInstanceUID"
    STUDY = "StudyInstanceUID"
    ACCESSION = "AccessionNumber"
    UNKNOWN = "UID"


class State(StrEnum):
    """Where an instance is, the worst first, with the exit status of `lapidicom trace` and what it means.

    2 and 3 mean what they mean everywhere.
    """

    exit_status: int
    meaning: str

    def __new__(cls, value: str, exit_status: int, meaning: str) -> Self:
        """A state, with what belongs to it."""
        state = str.__new__(cls, value)
        state._value_, state.exit_status, state.meaning = value, exit_status, meaning
        return state

    DEAD_LETTER = "dead letter", 12, "It could not be registered."
    SET_ASIDE = "set aside", 14, "Its record is faulty: look at the .aside file of the journal."
    REFUSED = "refused", 13, "The SCU got a failure; nothing is stored, and the SCU still has its copy."
    STORED = (
        "stored",
        15,
        "It is on the volume, not in CUBE, and no record, message or dead letter names it: "
        "`lapidicom reconcile` enqueues it, or says why not.",
    )
    WAITING = "waiting", 10, "Relayed, not in CUBE, not a dead letter."
    NOT_RELAYED = "not relayed", 11, "It is in the journal; the relay sends it when RabbitMQ takes it."
    INCOMPLETE = "incomplete", 17, "The PACS has more instances than ever came: send it again from there."
    UNSEEN = "not visible", 16, "It is stored; whether it is registered is not visible from here."
    REGISTERED = "registered", 0, "CUBE has it."
    UNKNOWN = "unknown", 1, "Nobody who could be asked knows it."


_RELAYS: Final = {
    RelayState.RELAYED: "relayed to RabbitMQ",
    RelayState.NOT_RELAYED: "not relayed yet",
    RelayState.BEHIND_MARK: "not answered yet, or never",
    RelayState.NEVER_ANSWERED_OR_RELAYED: "relayed if its file was whole, else never answered",
    RelayState.SET_ASIDE: "set aside: no message can be made of it",
}
_EXPLAINED: Final = (State.UNKNOWN, State.STORED, State.SET_ASIDE, State.NOT_RELAYED)

OfPacs = Mapping[str, Count] | NoCount
"""What a PACS has told of the series of a study."""


class Event(Answer):
    """One reception, or one refusal.

    `when` is by the receiver's clock; `relay`: how far the relay is with the record of a reception; `status`,
    `reason` (the Error Comment: tag and fault, never a value) and `tags` are of a refusal.
    """

    when: Annotated[datetime | None, Display(form=moment)]
    event: Annotated[Literal["received", "refused"], Display("what")]
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
    `size` is as last recorded, `file_size` that of the file on the volume, if there is one; `note` says what
    is odd about the file.
    """

    model_config = ConfigDict(frozen=False)
    shown: ClassVar[tuple[str, ...]] = (
        *("SOPInstanceUID", "pacs_name", "state", "file_size", "note", "cube", "dead_letters"),
    )

    SOPInstanceUID: Annotated[str, Display("instance")] = ""
    SeriesInstanceUID: Annotated[str, Display("series")] = ""
    pacs_name: Annotated[str, Display("PACS")] = ""
    path: str = Field(default="", repr=False)
    state: State = State.UNKNOWN
    size: int | None = None
    file_size: Annotated[int | None, Display("bytes on the volume", right=True)] = None
    note: str = ""
    cube: Annotated[InCube | None, Display("CUBE")] = None
    dead_letters: list[Letter] = []
    events: Annotated[list[Event], Display("")] = []

    def judge(self, *, sees_cube: bool, sees_volume: bool) -> None:
        """Say where it is now; without CUBE nobody guesses whether it is registered."""
        if self.path and sees_volume and self.file_size is None:
            self.note = "There is no file on the volume."
        elif None not in (self.size, self.file_size) and self.size != self.file_size:
            self.note = f"Its file has {self.file_size} bytes, {self.size} were recorded."
        relays = {event.relay for event in self.events if event.relay is not None}
        if self.cube is not None:
            self.state = State.REGISTERED
        elif self.dead_letters:
            self.state = State.DEAD_LETTER
        elif relays & {RelayState.NOT_RELAYED, RelayState.BEHIND_MARK}:
            self.state = State.NOT_RELAYED
        elif relays == {RelayState.SET_ASIDE}:
            self.state = State.SET_ASIDE
        elif relays:
            self.state = State.WAITING if sees_cube else State.UNSEEN
        elif self.events:
            self.state = State.REFUSED
        elif self.file_size is not None:
            self.state = State.STORED if sees_cube else State.UNSEEN


class Detail(Instance):
    """One instance by itself, as text."""

    shown: ClassVar[tuple[str, ...]] = (
        *("SeriesInstanceUID", "path", "file_size", "dead_letters", "events"),
    )

    def headline(self) -> Iterator[str]:
        """Which instance, its state, what that means, and what is odd about its file."""
        uid, pacs = self.SOPInstanceUID or "unknown", self.pacs_name or "unknown"
        yield f"SOP Instance {uid} of PACS {pacs}: {self.state}"
        yield self.state.meaning
        yield from [f"CUBE: {self.cube}"] if self.cube is not None else []
        yield from filter(None, [self.note])


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


def worst(states: Iterable[State]) -> State:
    """The state of a series."""
    return min(states, key=list(State).index, default=State.UNKNOWN)


def counts(states: Iterable[State]) -> dict[State, int]:
    """How many there are of each, the worst first."""
    found = Counter(states)
    return {state: found[state] for state in State if state in found}


class Series(Answer):
    """A series of a study."""

    SeriesInstanceUID: Annotated[str, Display("series")]
    state: State
    instances: Annotated[int, NUMBER]
    counts: Annotated[dict[State, int], Display("states")]

    @classmethod
    def of(cls, instances: Iterable[Instance]) -> "list[Series]":
        """All series of these instances."""
        members: dict[str, list[State]] = {}
        for one in instances:
            members.setdefault(one.SeriesInstanceUID, []).append(one.state)
        return [
            cls(SeriesInstanceUID=uid, state=worst(found), instances=len(found), counts=counts(found))
            for uid, found in members.items()
        ]


class Trace(Answer):
    """The answer: an instance, or a series or a study with its instances.

    `journals_since` is when the oldest record of any journal was made. `by_accession`: `uid` may be an
    accession number, which is patient data. `studies`: StudyInstanceUID by PACS and SeriesInstanceUID;
    `of_pacs`: what PACS have told, by PACS and StudyInstanceUID.
    """

    model_config = ConfigDict(frozen=False)
    shown: ClassVar[tuple[str, ...]] = (
        *("counts", "associations", "dead_letters_of_series", "series", "third_count", "instances"),
    )

    uid: str
    subject: Annotated[Subject, Field(serialization_alias="is")] = Subject.UNKNOWN
    state: State = State.UNKNOWN
    counts: dict[State, int] = {}
    series: Annotated[list[Series], Display("Its series (`lapidicom trace SERIES` lists the instances)")] = []
    third_count: Annotated[list[SeriesCounts], Display("In the PACS, on the volume, in CUBE")] = []
    instances: Annotated[list[Instance], Display("Instances")] = []
    instances_not_shown: int = 0
    associations: Annotated[list[AssociationEnd], Display("Associations that brought it")] = []
    dead_letters_of_series: Annotated[list[Letter], Display("Dead letters about the series as a whole")] = []
    journals_since: datetime | None = None
    journal_segments_with_bad_lines: int = 0
    waiting: Waiting | None = None
    not_visible: dict[str, str] = {}
    by_accession: Annotated[bool, Field(exclude=True)] = False
    studies: Annotated[dict[tuple[str, str], str], Field(exclude=True)] = {}
    of_pacs: Annotated[dict[tuple[str, str], OfPacs], Field(exclude=True)] = {}

    def is_about(self, fields: Mapping[str, Any]) -> bool:
        """Whether something with these fields is meant. No UID is two things, unless a sender is at fault."""
        found = next((one for one in Subject if fields.get(one) == self.uid), None)
        if found is None or (found is Subject.ACCESSION and not self.by_accession):
            return False
        self.subject = min(self.subject, found, key=list(Subject).index)
        self.note_study(*(fields.get(one) for one in ("pacs_name", "SeriesInstanceUID", "StudyInstanceUID")))
        return True

    def note_study(self, pacs_name: Any, series_uid: Any, study_uid: Any) -> None:
        """Note to which study a series belongs, if all three are told."""
        if pacs_name and series_uid and study_uid:
            self.studies[pacs_name, series_uid] = study_uid

    def _third_count(self) -> Iterator[SeriesCounts]:
        """The series of which a PACS was asked, and in a study those that it has beside them."""
        sees_volume, sees_cube = "volume" not in self.not_visible, "CUBE" not in self.not_visible
        for (pacs, study), told in sorted(self.of_pacs.items()):
            known = {series for (at, series), of in self.studies.items() if (at, of) == (pacs, study)}
            for series in sorted(known | (set() if isinstance(told, NoCount) else set(told))):
                ours = [
                    one for one in self.instances if (one.pacs_name, one.SeriesInstanceUID) == (pacs, series)
                ]
                volume = sum(one.file_size is not None for one in ours) if sees_volume else None
                cube = sum(one.cube is not None for one in ours) if sees_cube else None
                asked = told if isinstance(told, NoCount) else told.get(series, NoCount.NO_SUCH_SERIES)
                yield series_counts(pacs, study, series, asked, volume, cube)

    def judge(self, limit: int, mask: Callable[[str], str]) -> None:
        """Say in which state all are, and keep what is shown.

        Args:
            limit: of the instances; 0: all.
            mask: of their paths.
        """
        sees = {f"sees_{who.lower()}": who not in self.not_visible for who in ("CUBE", "volume")}
        for one in self.instances:
            one.judge(**sees)
            one.path = mask(one.path) if one.path else ""
        self.instances.sort(key=lambda one: (one.pacs_name, one.path, one.SOPInstanceUID))
        states = [one.state for one in self.instances]
        self.third_count = list(self._third_count())
        incomplete = [State.INCOMPLETE for one in self.third_count if one.is_incomplete]
        self.state = State.DEAD_LETTER if self.dead_letters_of_series else worst([*states, *incomplete])
        self.counts = counts(states)
        if self.subject in {Subject.STUDY, Subject.ACCESSION}:
            self.series = Series.of(self.instances)
        self.instances_not_shown = len(states) - len(states[: limit or None])
        del self.instances[limit or len(states) :]

    def headline(self) -> Iterator[str]:
        """What it is, its state, and what an operator should know."""
        name = "unknown" if self.subject is Subject.UNKNOWN else self.subject.name.title()
        yield f"{name} {self.uid}: {self.state}"
        for state in self.counts or [self.state]:
            if state in _EXPLAINED:
                yield f"{state}: {state.meaning}"
        for one in self.third_count:
            if one.is_incomplete:
                yield f"Series {one.SeriesInstanceUID} is incomplete. {State.INCOMPLETE.meaning}"
        yield from self.surroundings()

    def surroundings(self) -> Iterator[str]:
        """What waits, how far the journals reach, and who could not be asked."""
        if State.WAITING in self.counts:
            yield _waits(self.waiting)
        yield from (f"{who}: {NotVisible(why)}" for who, why in self.not_visible.items())
        if "journals" not in self.not_visible:
            since = self.journals_since
            yield f"The journals {'are empty' if since is None else f'reach back to {moment(since)}'}."
        if bad := self.journal_segments_with_bad_lines:
            yield f"{bad} journal segments have bad lines: what stood there is not known."


def _waits(waiting: Waiting | None) -> str:
    if waiting is None:
        return "It waits; how many messages wait is not visible from here."
    if waiting.total == 0:
        return (
            "No message waits in RabbitMQ: unless a registrar has it in its hands just now, its message is "
            "lost, and `lapidicom reconcile` enqueues it again."
        )
    where = f"{waiting.work} messages are in the work queue, {waiting.delayed} are delayed"
    return f"It waits: {where} (retried or parked)."
