"""What the journals of a spool tell of one UID: instances, refusals, associations."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from lapidicom.cli.trace.story import Event, Kind, Story
from lapidicom.common.instance.errors import PathError
from lapidicom.common.instance.path import pacs_name
from lapidicom.common.journal import records
from lapidicom.common.journal.survey import Entry, Survey

_SEGMENT_OPENED: Final = records.SEGMENT_OPENED.encode()
_HEAD: Final = 80
"""Bytes of a record within which its kind stands."""

_MOST_SERIES: Final = 100


class Subject(StrEnum):
    """What a UID is, as the journals (or CUBE, or a dead letter) have it."""

    INSTANCE = "SOPInstanceUID"
    SERIES = "SeriesInstanceUID"
    STUDY = "StudyInstanceUID"
    UNKNOWN = "UID"


@dataclass(frozen=True, slots=True)
class AssociationEnd:
    """What one association brought of the series, as its SeriesReceived message tells.

    Attributes:
        association_id: of the association.
        calling_ae_title: of the SCU.
        called_ae_title: as which we were called.
        peer_address: host:port of the SCU.
        receiver: CHRIS_RECEIVER_ID.
        ended_at: when it ended.
        ok: false: the receiver ended before it did.
        received: instances answered with success.
        refused: instances answered with a failure.
    """

    association_id: str
    calling_ae_title: str
    called_ae_title: str
    peer_address: str
    receiver: str
    ended_at: datetime | None
    ok: bool
    received: int
    refused: int


@dataclass(slots=True)
class Found:
    """What the journals tell.

    Attributes:
        subject: what the UID is.
        stories: of each instance that was received, by PACS, SOPInstanceUID and path.
        refusals: of instances, by PACS and SOPInstanceUID (empty if unknown).
        associations: that brought the series, in the order of the journals.
        series: of the study, if the UID is one of a study.
        since: the oldest record of any journal; None if there is none.
        unreadable: segments with a bad line.
    """

    subject: Subject = Subject.UNKNOWN
    stories: dict[tuple[str, str, str], Story] = field(default_factory=dict)
    refusals: dict[tuple[str, str], Story] = field(default_factory=dict)
    associations: list[AssociationEnd] = field(default_factory=list)
    series: set[str] = field(default_factory=set)
    since: datetime | None = None
    unreadable: int = 0

    def merged(self) -> list[Story]:
        """All stories: a refusal belongs to the instance that was received under the same UID, if any."""
        for (pacs, uid), refused in self.refusals.items():
            same = [story for key, story in self.stories.items() if key[:2] == (pacs, uid)] if uid else []
            for story in same:
                for event in refused.events:
                    story.add(event)
                story.omitted += refused.omitted
            if not same:
                self.stories[pacs, uid, ""] = refused
        self.refusals.clear()
        for story in self.stories.values():
            story.sort()
        return sorted(self.stories.values(), key=lambda story: (story.pacs_name, story.path, story.sop_uid))


def search(survey: Survey, uid: str) -> Found:
    """Look for a UID in all journals.

    Raises:
        OSError: they cannot be read.
    """
    quoted = f'"{uid}"'.encode()
    found = Found()
    for entry in survey.entries(lambda text: quoted in text or _SEGMENT_OPENED in text[:_HEAD]):
        _add(found, uid, entry)
    found.unreadable = len(survey.unreadable)
    return found


def _add(found: Found, uid: str, entry: Entry) -> None:
    kind, fields = entry.record.kind, entry.record.fields()
    if kind == records.SEGMENT_OPENED:
        opened = time(fields.get("opened_at"))
        if opened is not None and (found.since is None or opened < found.since):
            found.since = opened
    elif kind == records.INSTANCE_RECEIVED:
        _received(found, uid, entry, fields)
    elif kind == records.INSTANCE_REFUSED:
        _refused(found, uid, entry, fields)
    elif kind == records.SERIES_ENDED:
        _ended(found, uid, fields)


def _received(found: Found, uid: str, entry: Entry, message: Mapping[str, Any]) -> None:
    sop, series = _text(message, "SOPInstanceUID"), _text(message, "SeriesInstanceUID")
    if message.get("StudyInstanceUID") == uid:
        _note(found, Subject.STUDY)
        if len(found.series) < _MOST_SERIES:
            found.series.add(series)
    if uid not in (sop, series):
        return
    _note(found, Subject.INSTANCE if uid == sop else Subject.SERIES)
    pacs, path = _text(message, "pacs_name"), _text(message, "path")
    story = found.stories.setdefault((pacs, sop, path), Story(sop, pacs, path))
    story.series_uid = series
    size = message.get("size")
    story.size = size if isinstance(size, int) else None
    story.add(
        Event(
            Kind.RECEIVED,
            time(message.get("received_at")),
            _text(message, "calling_ae_title"),
            _text(message, "called_ae_title"),
            _text(message, "peer_address"),
            entry.receiver_id,
            _text(message, "association_id"),
            entry.relay,
        )
    )


def _refused(found: Found, uid: str, entry: Entry, record: Mapping[str, Any]) -> None:
    sop, series = _text(record, "SOPInstanceUID"), _text(record, "SeriesInstanceUID")
    if uid not in (sop, series):
        return
    _note(found, Subject.INSTANCE if uid == sop else Subject.SERIES)
    calling = _text(record, "calling_ae_title")
    pacs = _pacs(calling)
    story = found.refusals.setdefault((pacs, sop), Story(sop, pacs))
    story.series_uid = story.series_uid or series
    tags = record.get("tags")
    story.add(
        Event(
            Kind.REFUSED,
            time(record.get("refused_at")),
            calling,
            "",
            _text(record, "peer_address"),
            entry.receiver_id,
            _text(record, "association_id"),
            entry.relay,
            _text(record, "status"),
            _text(record, "reason"),
            tuple(map(str, tags)) if isinstance(tags, list) else (),
        )
    )


def _ended(found: Found, uid: str, message: Mapping[str, Any]) -> None:
    if message.get("SeriesInstanceUID") == uid:
        _note(found, Subject.SERIES)
        found.associations.append(_association(message))


def _association(message: Mapping[str, Any]) -> AssociationEnd:
    return AssociationEnd(
        _text(message, "association_id"),
        _text(message, "calling_ae_title"),
        _text(message, "called_ae_title"),
        _text(message, "peer_address"),
        _text(message, "receiver"),
        time(message.get("ended_at")),
        message.get("ok") is True,
        _count(message, "received"),
        _count(message, "refused"),
    )


def _note(found: Found, subject: Subject) -> None:
    """No UID is both, unless a sender is at fault: then the smallest thing that bears it counts."""
    order = list(Subject)
    found.subject = min(found.subject, subject, key=order.index)


def _pacs(calling_ae_title: str) -> str:
    try:
        return pacs_name(calling_ae_title)
    except PathError:
        return ""


def time(value: object) -> datetime | None:
    """A time of a record or a message; None if it tells none."""
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _count(fields: Mapping[str, Any], name: str) -> int:
    value = fields.get(name)
    return value if isinstance(value, int) else 0
