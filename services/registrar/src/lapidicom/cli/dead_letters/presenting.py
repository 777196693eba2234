"""Dead letters as rows and as JSON documents; patient data is masked unless asked for. Pure code."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from lapidicom.cli.ages import age
from lapidicom.cli.causes import cause_of, normalise, remedy
from lapidicom.cli.dead_letters.letter import DeadLetter, short_id
from lapidicom.cli.grouping import Group, GroupBy
from lapidicom.cli.masking import MASK, masked_fields, masked_headers
from lapidicom.cli.output import Column

UID_TAIL = 12
"""Characters of a UID that a terminal shows: UIDs of one study differ at their ends."""

Rows = list[tuple[str, object]]


def list_columns(*, show_phi: bool) -> list[Column]:
    """The columns of the list."""
    columns = [
        Column("id", style="bold"),
        Column("age", right=True),
        Column("reason", style="red"),
        Column("HTTP", right=True),
        Column("attempts", right=True),
        Column("pacs"),
        Column("series"),
        Column("instance"),
    ]
    return [*columns, Column("PatientID"), Column("StudyDate")] if show_phi else columns


def list_row(letter: DeadLetter, now: datetime, *, short: bool, show_phi: bool) -> list[object]:
    """A row of the list.

    Args:
        letter: to be shown.
        now: for its age.
        short: cut ids and UIDs, as fits a terminal.
        show_phi: with patient data.
    """
    row: list[object] = [
        short_id(letter.id) if short else letter.id,
        age(letter.died_at, now),
        letter.reason,
        letter.http_status,
        letter.attempts,
        letter.pacs_name,
        _uid(letter.series_uid, short),
        _uid(letter.sop_uid, short),
    ]
    fields = letter.fields if show_phi else {}
    return [*row, fields.get("PatientID"), fields.get("StudyDate")] if show_phi else row


def summary(letter: DeadLetter, *, show_phi: bool) -> dict[str, Any]:
    """A letter of the list as JSON; its keys are documented in docs/cli.md.

    `cause` is CUBE's answer without what belongs to one message; the answer itself may be patient data.
    """
    fields = letter.fields
    document = {
        "id": letter.id,
        "type": letter.type,
        "died_at": letter.died_at,
        "reason": letter.reason,
        "http_status": letter.http_status,
        "cause": normalise(letter.answer, fields) or None,
        "attempts": letter.attempts,
        "first_attempt": letter.first_attempt,
        "last_attempt": letter.last_attempt,
        "registrar": letter.registrar or None,
        "pacs_name": letter.pacs_name or None,
        "SeriesInstanceUID": letter.series_uid or None,
        "SOPInstanceUID": letter.sop_uid or None,
    }
    if show_phi:
        document |= {
            "PatientID": fields.get("PatientID"),
            "StudyDate": fields.get("StudyDate"),
            "path": letter.path or None,
            "answer": letter.answer or None,
        }
    return document


def whole(letter: DeadLetter, sight: str, copies: int, *, show_phi: bool) -> dict[str, Any]:
    """One letter as JSON, with all that is known of it."""
    fields, cause = letter.fields, cause_of(letter.reason)
    return {
        **summary(letter, show_phi=show_phi),
        "message_id": letter.message_id,
        "version": letter.version,
        "copies": copies,
        "file": sight,
        "answer": letter.answer or None if show_phi else _masked(letter.answer),
        "message": fields if show_phi else masked_fields(fields),
        "headers": _json_headers(letter, show_phi),
        "meaning": cause.meaning,
        "remedy": remedy(letter),
        "runbook": cause.section,
    }


def letter_rows(
    letter: DeadLetter, now: datetime, sight: str, copies: int, *, show_phi: bool
) -> Iterator[tuple[str, Rows]]:
    """The sections of `dlq show`, each with its title and rows of a name and a value."""
    cause, fields = cause_of(letter.reason), letter.fields
    kind = f"{letter.type or 'no type'}, version {letter.version}, {len(letter.body)} bytes"
    yield (
        "Dead letter",
        [
            ("id", letter.id),
            ("copies", copies if copies > 1 else None),
            ("message", kind if fields or not letter.body else f"{kind}, not readable as JSON"),
            ("reason", letter.reason),
            ("meaning", cause.meaning),
            ("dead for", age(letter.died_at, now) or None),
        ],
    )
    yield (
        "History",
        [
            ("attempts", letter.attempts),
            ("first attempt", _iso(letter.first_attempt)),
            ("last attempt", _iso(letter.last_attempt)),
            ("dead letter since", _iso(letter.died_at)),
            ("registrar", letter.registrar or None),
            *((name, value) for name, value in _json_headers(letter, show_phi).items() if _is_extra(name)),
        ],
    )
    answer = letter.answer if show_phi else normalise(letter.answer, fields)
    yield ("CUBE's answer", [("HTTP status", letter.http_status or "none"), ("answer", answer or None)])
    shown = fields if show_phi else masked_fields(fields)
    yield (
        "Message",
        [*((name, value) for name, value in shown.items() if value is not None), ("file", sight)],
    )
    yield ("What to do", [("remedy", remedy(letter)), ("more", cause.section)])


def group_rows(
    groups: Iterable[Group], by: GroupBy, now: datetime, *, short: bool
) -> tuple[Sequence[Column], list[list[object]]]:
    """Columns and rows of a list of groups."""
    by_reason = by is GroupBy.REASON
    columns = [
        Column("count", right=True, style="bold"),
        Column("cause" if by_reason else by.value, style="red"),
        *(() if by_reason else (Column("reasons"),)),
        Column("oldest", right=True),
        Column("example"),
        Column("what to do"),
    ]
    rows = [
        [
            group.count,
            group.key,
            *(() if by_reason else (_reasons(group),)),
            age(group.oldest, now),
            short_id(group.example) if short else group.example,
            group.remedy,
        ]
        for group in groups
    ]
    return columns, rows


def group_document(group: Group) -> dict[str, Any]:
    """A group as JSON."""
    return {
        "key": group.key,
        "count": group.count,
        "oldest": group.oldest,
        "youngest": group.youngest,
        "reasons": dict(group.reasons.most_common()),
        "example": group.example,
        "remedy": group.remedy,
        "runbook": group.section,
    }


def _reasons(group: Group) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in group.reasons.most_common(3))


def _json_headers(letter: DeadLetter, show_phi: bool) -> dict[str, Any]:
    headers = letter.headers if show_phi else masked_headers(letter.headers)
    return {
        name: value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        for name, value in headers.items()
    }


_TOLD_ELSEWHERE = frozenset(
    f"lapidicom-{name}"
    for name in (
        *("id", "version", "attempts", "first-attempt", "last-attempt"),
        *("reason", "http-status", "answer", "registrar"),
    )
)


def _is_extra(header: str) -> bool:
    """A header that has no row of its own, such as those of a replay."""
    return header not in _TOLD_ELSEWHERE


def _masked(text: str) -> str | None:
    return MASK if text else None


def _iso(when: datetime | None) -> str | None:
    return when.isoformat(timespec="seconds") if when is not None else None


def _uid(uid: str, short: bool) -> str:
    return f"…{uid[-UID_TAIL:]}" if short and len(uid) > UID_TAIL else uid
