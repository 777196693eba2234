"""A dead letter as a row of an answer: without patient data, unless that is asked for. Pure."""

from datetime import datetime
from typing import Annotated, Any, Final, Self

from lapidicom.cli.answers import HIDDEN, NUMBER, Answer, Display
from lapidicom.cli.letter import DeadLetter, short_id
from lapidicom.cli.masking import known_answer, known_word
from lapidicom.cli.times import age

_TAIL: Final = 12
"""Characters of a UID that a terminal shows: UIDs of one study differ at their ends."""


_HARMLESS: Final = (*("id", "died_at", "reason", "http_status", "attempts", "first_attempt", "last_attempt"),)
"""What a letter tells without patient data, whatever stands in it."""


def _tail(uid: str) -> str:
    return f"…{uid[-_TAIL:]}" if len(uid) > _TAIL else uid


class Row(Answer):
    """A dead letter of the list; `cause` is what CUBE is known to say."""

    id: Annotated[str, Display(style="bold", short=short_id)]
    died_at: Annotated[datetime | None, Display("age", right=True, form=age)]
    type: Annotated[str, HIDDEN]
    reason: Annotated[str, Display(style="red")]
    http_status: Annotated[int | None, Display("HTTP", right=True)]
    cause: Annotated[str | None, HIDDEN]
    attempts: Annotated[int, NUMBER]
    first_attempt: Annotated[datetime | None, HIDDEN]
    last_attempt: Annotated[datetime | None, HIDDEN]
    registrar: Annotated[str | None, HIDDEN]
    pacs_name: Annotated[str | None, Display("pacs")]
    SeriesInstanceUID: Annotated[str | None, Display("series", short=_tail)]
    SOPInstanceUID: Annotated[str | None, Display("instance", short=_tail)]
    PatientID: str | None = None
    StudyDate: str | None = None
    path: Annotated[str | None, HIDDEN] = None
    answer: Annotated[str | None, HIDDEN] = None

    @classmethod
    def of(cls, letter: DeadLetter, *, show_phi: bool, **more: Any) -> Self:
        """A letter as it is shown; with patient data if that is wished."""
        told: dict[str, Any] = {name: getattr(letter, name) for name in _HARMLESS}
        told |= {name: known_word(getattr(letter, name)) or None for name in ("registrar", "pacs_name")}
        told |= {name: letter.uid(name) or None for name in ("SeriesInstanceUID", "SOPInstanceUID")}
        if show_phi:
            told |= {"path": letter.path or None, "answer": letter.answer or None}
            told |= {name: _text(letter.fields.get(name)) for name in ("PatientID", "StudyDate")}
        told |= {"type": known_word(letter.type), "cause": known_answer(letter.answer) or None}
        return cls.model_validate(told | more)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
