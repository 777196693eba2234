"""What a replay makes of each dead letter: which are meant, how they are edited, with which headers. Pure."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import ValidationError

from lapidicom.cli.letter import DeadLetter
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

Edits = Mapping[str, str | None]
"""New values of fields; None takes a field away."""


Change = tuple[str, object, object]
"""A field of a message, before and after; None where it is absent. Patient data."""


class NotEditable(Exception):
    """A message cannot be edited; the text says why, without a value."""


@dataclass
class Plan:
    """Decides for each dead letter; one plan sees them all, then a second one, made `anew`, sends them.

    Under the lock nothing leaves the queue but by this replay, so that both meet the same letters in the same
    order, and no list of them is kept.

    Attributes:
        is_meant: the operator's filters.
        edits: new values of fields.
        replay: id of this replay; what came back from it is not taken again.
        first: take no more than so many; 0 takes all.
        letters: all dead letters that were seen.
        reasons: of those that are replayed, with counts.
        not_editable: why some are left as they are, with counts: the edit does not fit them.
        edited: how many are edited.
        changes: examples: field, value before and after. Patient data.
    """

    is_meant: Callable[[DeadLetter], bool]
    edits: Edits
    replay: str
    first: int = 0
    letters: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    not_editable: Counter[str] = field(default_factory=Counter)
    edited: int = 0
    changes: list[Change] = field(default_factory=list)

    @property
    def selected(self) -> int:
        """How many are replayed."""
        return self.reasons.total()

    def anew(self) -> "Plan":
        """The same for a second walk."""
        return Plan(self.is_meant, self.edits, self.replay, self.first)

    def take(self, letter: DeadLetter) -> Envelope | None:
        """What is sent in place of the next letter; None leaves it as it is."""
        self.letters += 1
        is_over = self.first and self.selected >= self.first
        if is_over or letter.headers.get(REPLAY) == self.replay or not self.is_meant(letter):
            return None
        try:
            body, changes = edit(letter, self.edits)
        except NotEditable as error:
            self.not_editable[str(error)] += 1
            return None
        self.reasons[letter.reason] += 1
        self.edited += bool(changes)
        self.changes.extend(changes[: max(0, _EXAMPLES - len(self.changes))])
        headers = replayed(letter, self.replay, [name for name, _, _ in changes])
        return Envelope(EXCHANGE, WORK_QUEUE, letter.type, letter.version, letter.lapidicom_id, body, headers)


def replayed(letter: DeadLetter, replay: str, names: Iterable[str] = ()) -> dict[str, Header]:
    """The headers with which a dead letter is published again: attempts start anew, history goes along.

    Args:
        letter: the dead letter.
        replay: id of the replay.
        names: of the fields that are edited now.
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
