"""What a replay makes of each dead letter, with which edits and headers; and what it answers. Pure."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, ValidationError

from lapidicom.cli.answers import HIDDEN, NUMBER, Answer, Display
from lapidicom.cli.letter import DeadLetter
from lapidicom.cli.masking import MASK
from lapidicom.common.broker import Envelope
from lapidicom.common.headers import Header
from lapidicom.common.topology import EXCHANGE, WORK_QUEUE
from lapidicom.registrar.consumer import headers as registrar
from lapidicom.registrar.consumer.reading import KNOWN
from lapidicom.registrar.cube.contract import TEXT_LIMITS

EDITABLE: Final = (*sorted(TEXT_LIMITS), "PatientAge", "PatientBirthDate", "PatientSex")
"""Never path, pacs_name, PatientID, StudyDate or a UID: these say which file of which patient it is."""

REPLAY: Final = "lapidicom-replay"
"""Header: id of the last replay that took it. A registrar passes on headers that it does not know."""

REPLAYS: Final = "lapidicom-replays"
"""How often it was replayed."""

REPLAYED_AT: Final = "lapidicom-replayed-at"
FORMER_REASON: Final = "lapidicom-former-reason"
FORMER_STATUS: Final = "lapidicom-former-http-status"
FORMER_ATTEMPTS: Final = "lapidicom-former-attempts"
"""Attempts spent before the last replay, those before earlier replays included."""

EDITED: Final = "lapidicom-edited"
"""Names of the fields that operators have changed, separated by commas."""

_STALE: Final = {value for value in vars(registrar).values() if str(value).startswith("lapidicom-")}
"""All headers in which a registrar tells what happened; the first attempt stays the first."""

_EXAMPLES: Final = 5

STOP_AT: Final = 10
"""Messages of a replay that may come back before it stops by itself."""

Edits = Mapping[str, str | None]
"""New values of fields; None takes a field away."""

Change = tuple[str, object, object]
"""A field of a message, before and after; None where it is absent. Patient data."""


class NotEditable(Exception):
    """A message cannot be edited; the text says why, without a value."""


@dataclass(frozen=True)
class Plan:
    """Decides for each dead letter, alike at each walk.

    Attributes:
        is_meant: the operator's filters.
        edits: new values of fields.
        replay: id of this replay; what came back from it is not taken again.
    """

    is_meant: Callable[[DeadLetter], bool]
    edits: Edits
    replay: str

    def envelope(self, letter: DeadLetter) -> tuple[Envelope, Sequence[Change]] | None:
        """What is sent in place of a letter, and what is changed in it; None leaves it as it is.

        Raises:
            NotEditable: the edits do not fit it, and it is left as it is.
        """
        if letter.headers.get(REPLAY) == self.replay or not self.is_meant(letter):
            return None
        body, changes = edit(letter, self.edits)
        headers = replayed(letter, self.replay, [name for name, _, _ in changes])
        version, name = letter.version, letter.lapidicom_id
        return Envelope(EXCHANGE, WORK_QUEUE, letter.type, version, name, body, headers), changes


class Edit(Answer):
    """One field of one message, before and after."""

    field: str
    before: str
    after: str


class Replayed(Answer):
    """What was selected, and what came of it; right at any moment of a replay.

    `sent`: in the work queue, and no dead letters any more. `registered` and `waiting` are null unless they
    were waited for; of what registers nothing CUBE cannot tell. `returned`: dead letters again, by reason.
    """

    model_config = ConfigDict(frozen=False)

    replay: Annotated[str, HIDDEN]
    dry_run: Annotated[bool, HIDDEN] = False
    letters: Annotated[int, HIDDEN] = 0
    selected: Annotated[int, HIDDEN] = 0
    reasons: dict[str, int] = {}
    not_editable: dict[str, int] = {}
    edited: Annotated[int, NUMBER] = 0
    edits: Annotated[list[Edit], Display("such as")] = []
    sent: Annotated[int, HIDDEN] = 0
    registered: int | None = None
    waiting: int | None = None
    register_nothing: int = 0
    returned: dict[str, int] = {}
    stopped: Annotated[bool, HIDDEN] = False
    canary_failed: Annotated[bool, HIDDEN] = False
    show_phi: Annotated[bool, Field(exclude=True), HIDDEN] = False

    def see(self, letter: DeadLetter, plan: Plan, first: int) -> None:
        """Count a letter, as a replay of the `first` ones (0: all) will take it or leave it."""
        self.letters += 1
        if first and self.selected >= first:
            return
        try:
            taken = plan.envelope(letter)
        except NotEditable as error:
            self.not_editable[str(error)] = self.not_editable.get(str(error), 0) + 1
            return
        if taken is None:
            return
        self.selected += 1
        self.reasons[letter.reason] = self.reasons.get(letter.reason, 0) + 1
        self.edited += bool(taken[1])
        for name, before, after in taken[1][: _EXAMPLES - len(self.edits)]:
            self.edits.append(Edit(field=name, before=self._value(before), after=self._value(after)))

    def _value(self, value: object) -> str:
        return "(absent)" if value is None else repr(value) if self.show_phi else MASK

    @property
    def is_good(self) -> bool:
        """All that was selected is sent, and nothing is known to have failed."""
        sent = self.sent == self.selected and not self.not_editable
        return sent and not self.returned and not self.waiting

    def headline(self) -> list[str]:
        """What will be, or was, done."""
        name = f"replay {self.replay}"
        if self.dry_run:
            return [f"{name}: {self.selected} of {self.letters} dead letters would be replayed"]
        left = self.selected - self.sent
        lines = [f"{name}: {self.sent} replayed" + (f", {left} left as they were" if left else "")]
        if self.canary_failed:
            lines.append("The canary was not registered, so the others stay dead letters.")
        if self.stopped:
            lines.append(f"Stopped: {STOP_AT} have come back. --keep-going sends the others all the same.")
        if self.returned:
            lines.append(f"`lapidicom dlq list --where {REPLAY}={self.replay}` shows those that came back.")
        return lines


def replayed(letter: DeadLetter, replay: str, names: Iterable[str] = ()) -> dict[str, Header]:
    """The headers with which a dead letter is published again: attempts start anew, history goes along.

    `names` are those of the fields that are edited now.
    """
    headers: dict[str, Header] = {
        name: value
        for name, value in letter.headers.items()
        # The client library reads headers of bytes, of a foreign message, but cannot publish them.
        if name not in _STALE - {registrar.FIRST_ATTEMPT} | {FORMER_STATUS} and not isinstance(value, bytes)
    }
    headers |= {
        REPLAY: replay,
        REPLAYS: _count(letter.headers, REPLAYS) + 1,
        REPLAYED_AT: datetime.now(UTC).isoformat(timespec="milliseconds"),
        FORMER_REASON: letter.reason,
        FORMER_ATTEMPTS: _count(letter.headers, FORMER_ATTEMPTS) + letter.attempts,
    }
    if letter.http_status is not None:
        headers[FORMER_STATUS] = letter.http_status
    before = headers.get(EDITED)
    all_names = {*(before.split(",") if isinstance(before, str) and before else ()), *names}
    return headers | ({EDITED: ",".join(sorted(all_names))} if all_names else {})


def edit(letter: DeadLetter, edits: Edits) -> tuple[bytes, list[Change]]:
    """Edit a body and validate it by the model of its type; what the model does not know is kept.

    Returns:
        The new body and what really changed in it; the old one where nothing did.

    Raises:
        NotEditable: not a message of ours, or not a valid one with the new values.
    """
    if not edits:
        return letter.body, []
    model = next((model for model in KNOWN if letter.type == model.TYPE), None)
    if model is None:
        raise NotEditable("no message type of ours")
    try:
        before = model.model_validate(letter.fields)
    except ValidationError:
        raise NotEditable("the message cannot be read") from None
    fields: dict[str, Any] = {**letter.fields, **edits}
    try:
        after = model.model_validate(fields)
    except ValidationError as error:
        names = ", ".join(sorted({str(one["loc"][0]) for one in error.errors() if one["loc"]}))
        raise NotEditable(f"not a valid value: {names}") from None
    pairs = [(name, getattr(before, name), getattr(after, name)) for name in edits]
    changes = [one for one in pairs if one[1] != one[2]]
    if not changes:
        return letter.body, []
    fields |= {name: getattr(after, name) for name in edits}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode(), changes


def read_edits(given: Iterable[str], unset: Iterable[str]) -> Edits:
    """Read --set FIELD=VALUE and --unset FIELD.

    Raises:
        ValueError: not of that form, not a field that may be edited, or one named twice.
    """
    edits: dict[str, str | None] = {}
    for is_set, text in (*((True, text) for text in given), *((False, text) for text in unset)):
        name, equals, value = text.partition("=")
        if is_set != bool(equals) or not name:
            raise ValueError(f"{name!r} is not of its form: give --set FIELD=VALUE or --unset FIELD")
        if name not in EDITABLE:
            raise ValueError(f"{name!r} may not be edited: editable are {', '.join(EDITABLE)}")
        if name in edits:
            raise ValueError(f"{name} is edited twice: name it once")
        edits[name] = value if is_set else None
    return edits


def _count(headers: Mapping[str, Header], name: str) -> int:
    value = headers.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
