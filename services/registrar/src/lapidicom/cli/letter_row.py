"""A dead letter as a row of an answer: without patient data, unless that is asked for. Pure."""

from datetime import datetime
from typing import Annotated, Any, Final, Self

from lapidicom.cli.answers import HIDDEN, NUMBER, Answer, Display
from lapidicom.cli.letter import DeadLetter, short_id
from lapidicom.cli.masking import known_answer, known_word
from lapidicom.cli.times import age

UID_TAIL: Final = 12
"""Characters of a UID that a terminal shows: UIDs of one study differ at their ends."""


def tail(uid: str) -> str:
    """The end of a UID."""
    return f"…{uid[-UID_TAIL:]}" if len(uid) > UID_TAIL else uid


AGE: Final = Display("age", right=True, form=age)


class Row(Answer):
    """A dead letter of the list; `cause` is what CUBE is known to say."""

    id: Annotated[str, Display(style="bold", short=short_id)]
    died_at: Annotated[datetime | None, AGE]
    type: Annotated[str, HIDDEN]
    reason: Annotated[str, Display(style="red")]
    http_status: Annotated[int | None, Display("HTTP", right=True)]
    cause: Annotated[str | None, HIDDEN]
    attempts: Annotated[int, NUMBER]
    first_attempt: Annotated[datetime | None, HIDDEN]
    last_attempt: Annotated[datetime | None, HIDDEN]
    registrar: Annotated[str | None, HIDDEN]
    pacs_name: Annotated[str | None, Display("pacs")]
    SeriesInstanceUID: Annotated[str | None, Display("series", short=tail)]
    SOPInstanceUID: Annotated[str | None, Display("instance", short=tail)]
    PatientID: str | None = None
    StudyDate: str | None = None
    path: Annotated[str | None, HIDDEN] = None
    answer: Annotated[str | None, HIDDEN] = None

    @classmethod
    def of(cls, letter: DeadLetter, *, show_phi: bool, **more: Any) -> Self:
        """A letter as it is shown; with patient data if that is wished."""
        if show_phi:
            fields = {name: _text(letter.fields.get(name)) for name in ("PatientID", "StudyDate")}
            more = {**fields, "path": letter.path or None, "answer": letter.answer or None, **more}
        return cls(
            id=letter.id,
            died_at=letter.died_at,
            type=known_word(letter.type),
            reason=letter.reason,
            http_status=letter.http_status,
            cause=known_answer(letter.answer) or None,
            attempts=letter.attempts,
            first_attempt=letter.first_attempt,
            last_attempt=letter.last_attempt,
            registrar=known_word(letter.registrar) or None,
            pacs_name=known_word(letter.pacs_name) or None,
            SeriesInstanceUID=letter.uid("SeriesInstanceUID") or None,
            SOPInstanceUID=letter.uid("SOPInstanceUID") or None,
            **more,
        )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
