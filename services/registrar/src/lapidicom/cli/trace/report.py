"""Tells a trace as text and tables."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from lapidicom.cli.errors import NotVisible
from lapidicom.cli.masking import masked_path
from lapidicom.cli.output import Column, Output
from lapidicom.cli.trace.gathering import Trace
from lapidicom.cli.trace.journals import Subject
from lapidicom.cli.trace.story import Event, Kind, Letter, State, Story, counts
from lapidicom.common.journal.survey import Relay

_RELAYS = {
    Relay.RELAYED: "relayed to RabbitMQ",
    Relay.NOT_RELAYED: "not relayed yet",
    Relay.BEHIND_MARK: "not answered yet, or never",
    Relay.NEVER_ANSWERED_OR_RELAYED: "relayed if its file was whole, else never answered",
    Relay.SET_ASIDE: "set aside: no message can be made of it",
}

_MEANINGS = {
    State.REGISTERED: "CUBE has it.",
    State.DEAD_LETTER: "It could not be registered.",
    State.SET_ASIDE: "Its record is faulty: an operator must look at the .aside file of the journal.",
    State.REFUSED: "The SCU got a failure; nothing is stored, and the SCU still has its copy.",
    State.STORED: "It is on the volume, not in CUBE, and no record, message or dead letter tells of it: "
    "`lapidicom reconcile` enqueues it.",
    State.WAITING: "Relayed, not in CUBE, not a dead letter.",
    State.NOT_RELAYED: "It is in the journal; the relay sends it when RabbitMQ takes it.",
    State.UNSEEN: "It is stored; whether it is registered is not visible from here.",
    State.UNKNOWN: "Nobody who could be asked knows it.",
}


def tell(output: Output, trace: Trace, *, limit: int, show_phi: bool) -> None:
    """Print a trace.

    Args:
        output: where to.
        trace: what is known.
        limit: instances to tell at most; 0: all.
        show_phi: whether paths are told.
    """
    if trace.subject is Subject.STUDY:
        output.text(f"{trace.uid} is a StudyInstanceUID. Trace one of its series:")
        for series in trace.series:
            output.text(f"  lapidicom trace {series}")
    elif trace.subject is Subject.SERIES:
        _tell_series(output, trace, limit=limit, show_phi=show_phi)
    elif trace.stories:
        for story in trace.stories[: limit or None]:
            _tell_instance(output, trace, story, show_phi=show_phi)
    else:
        output.text(f"{trace.uid}: unknown. {_MEANINGS[State.UNKNOWN]}")
    _tell_surroundings(output, trace)


def _tell_instance(output: Output, trace: Trace, story: Story, *, show_phi: bool) -> None:
    state = story.state
    output.text(f"SOP Instance {story.sop_uid} of PACS {story.pacs_name or 'unknown'}: {state}", style="bold")
    output.text(f"  {_MEANINGS[state]}")
    for line in _facts(trace, story, show_phi=show_phi):
        output.text(f"  {line}")
    if story.events:
        output.table(
            ["when", "what", "calling AE", "called AE", "peer", "receiver", "then"],
            [
                (
                    moment(event.when),
                    event.kind,
                    event.calling_ae_title,
                    event.called_ae_title,
                    event.peer_address,
                    event.receiver,
                    _then(event),
                )
                for event in story.events
            ],
        )
    if story.omitted:
        output.text(f"  {story.omitted} events between them are left out")


def _facts(trace: Trace, story: Story, *, show_phi: bool) -> Iterator[str]:
    if story.series_uid:
        yield f"series:  {story.series_uid}"
    if story.path:
        yield f"path:    {_path(story, show_phi=show_phi)}"
        yield f"volume:  {_file(story)}"
        yield f"CUBE:    {_cube(story)}"
    for letter in story.letters:
        yield from _letter_lines(letter)
    if story.state is State.WAITING:
        yield _waiting(trace)


def _tell_series(output: Output, trace: Trace, *, limit: int, show_phi: bool) -> None:
    output.text(f"Series {trace.uid}: {trace.state}", style="bold")
    found = counts(trace.stories)
    output.table(
        ["state", Column("instances", right=True)], [(state, count) for state, count in found.items()]
    )
    if trace.associations:
        output.table(
            [
                "ended",
                "calling AE",
                "called AE",
                "peer",
                "receiver",
                Column("received", right=True),
                Column("refused", right=True),
                "",
            ],
            [
                (
                    moment(one.ended_at),
                    one.calling_ae_title,
                    one.called_ae_title,
                    one.peer_address,
                    one.receiver,
                    one.received,
                    one.refused,
                    "" if one.ok else "the receiver ended before the association",
                )
                for one in trace.associations
            ],
            title="Associations that brought it",
        )
    shown = trace.stories[: limit or None]
    output.table(
        ["instance", "PACS", "state", "received", "times", "volume", "CUBE", "what to know"],
        [
            (
                story.sop_uid or "unknown",
                story.pacs_name,
                story.state,
                moment(_last_reception(story)),
                sum(event.kind is Kind.RECEIVED for event in story.events) + story.omitted,
                _file(story),
                _cube(story),
                _to_know(story),
            )
            for story in shown
        ],
        title="Instances",
    )
    if show_phi:
        for folder in sorted({story.path.rpartition("/")[0] for story in shown if story.path}):
            output.text(f"folder: {folder}")
    if len(shown) < len(trace.stories):
        output.text(f"{len(trace.stories) - len(shown)} more: --limit 0 shows all")
    for letter in trace.letters:
        output.text("About the series as a whole:")
        for line in _letter_lines(letter):
            output.text(f"  {line}")
    if State.WAITING in found:
        output.text(_waiting(trace))
    for state in found:
        if state in {State.STORED, State.SET_ASIDE, State.NOT_RELAYED}:
            output.text(f"{state}: {_MEANINGS[state]}")
    for remedy in _remedies(trace.stories):
        output.text(remedy)


def _tell_surroundings(output: Output, trace: Trace) -> None:
    for who, why in trace.not_visible.items():
        output.text(f"{who}: {why}")
    if "journals" not in trace.not_visible:
        since = "are empty" if trace.since is None else f"reach back to {moment(trace.since)}"
        output.text(f"The journals {since}.")
    if trace.unreadable:
        output.text(f"{trace.unreadable} journal segments end with a bad line: what follows it is not known.")


def _then(event: Event) -> str:
    if event.kind is Kind.RECEIVED:
        return _RELAYS[event.relay]
    tags = f" {' '.join(event.tags)}" if event.tags else ""
    return f"{event.status} {event.reason}{tags}"


def _letter_lines(letter: Letter) -> Iterator[str]:
    status = "" if letter.http_status is None else f", HTTP {letter.http_status}"
    yield (
        f"dead letter {letter.id} since {moment(letter.died_at)}: {letter.reason}{status}, "
        f"{letter.attempts} attempts"
    )
    yield f"  {letter.meaning}"
    yield f"  {letter.remedy}"


def _remedies(stories: Iterable[Story]) -> Iterator[str]:
    """Once for each reason, with the first letter as the example."""
    told: set[str] = set()
    for story in stories:
        for letter in story.letters:
            if letter.reason not in told:
                told.add(letter.reason)
                yield f"{letter.reason}: {letter.meaning} {letter.remedy}"


def _to_know(story: Story) -> str:
    if story.letters:
        return "; ".join(f"{letter.reason} ({letter.id})" for letter in story.letters)
    if story.state is State.REFUSED:
        return _then(story.events[-1])
    if story.state is State.NOT_RELAYED:
        return _RELAYS[story.events[-1].relay]
    return ""


def _waiting(trace: Trace) -> str:
    if trace.waiting is None:
        return "It waits; how many messages wait is not visible from here."
    if trace.waiting.total == 0:
        return (
            "No message waits in RabbitMQ: unless a registrar has it in its hands just now, its message is "
            "lost, and `lapidicom reconcile` enqueues it again."
        )
    return (
        f"It waits: {trace.waiting.work} messages are in the work queue, {trace.waiting.delayed} are delayed "
        "(retried or parked)."
    )


def _file(story: Story) -> str:
    if not story.path:
        return ""
    if story.file is None:
        return "no file"
    if isinstance(story.file, NotVisible):
        return str(story.file)
    differs = story.size is not None and story.size != story.file
    return f"{story.file} bytes" + (f", {story.size} were recorded" if differs else "")


def _cube(story: Story) -> str:
    if not story.path:
        return ""
    if story.cube is None:
        return "not registered"
    if isinstance(story.cube, NotVisible):
        return str(story.cube)
    return story.cube.url or "registered, but CUBE does not find its file"


def _path(story: Story, *, show_phi: bool) -> str:
    return story.path if show_phi or not story.path else masked_path(story.path)


def _last_reception(story: Story) -> datetime | None:
    return next((event.when for event in reversed(story.events) if event.kind is Kind.RECEIVED), None)


def moment(when: datetime | None) -> str:
    """A time as people read it, UTC."""
    return "unknown" if when is None else f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
