"""What the journals of a spool tell of one UID or accession number: instances, refusals, associations."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from lapidicom.cli.trace.story import AssociationEnd, Event, Instance, Kind
from lapidicom.common.instance.errors import PathError
from lapidicom.common.instance.path import pacs_name
from lapidicom.common.journal import records
from lapidicom.common.journal.survey import Survey, SurveyedRecord

_SEGMENT_OPENED: Final = records.SEGMENT_OPENED.encode()
_HEAD: Final = 80
"""Bytes of a record within which its kind stands."""


class Subject(StrEnum):
    """What is traced, as the journals, CUBE or a dead letter have it; the smallest thing first."""

    INSTANCE = "SOPInstanceUID"
    SERIES = "SeriesInstanceUID"
    STUDY = "StudyInstanceUID"
    ACCESSION = "AccessionNumber"
    UNKNOWN = "UID"


class _Message(BaseModel):
    """The fields of a record that are shown; each may be absent."""

    SOPInstanceUID: str | None = None
    SeriesInstanceUID: str | None = None
    pacs_name: str = ""
    path: str = ""
    size: int | None = None


@dataclass(slots=True)
class Found:
    """What the journals tell.

    Attributes:
        wanted: a UID, or an accession number.
        by_accession: whether it may be the latter, which is patient data.
        subject: what it is.
        instances: that were received, by PACS, SOPInstanceUID and path.
        refusals: of instances, by PACS and SOPInstanceUID (empty if unknown).
        associations: that brought the series, in the order of the journals.
        since: the oldest record of any journal; None if there is none.
        unreadable: segments with a bad line.
    """

    wanted: str
    by_accession: bool = False
    subject: Subject = Subject.UNKNOWN
    instances: dict[tuple[str, str, str], Instance] = field(default_factory=dict)
    refusals: dict[tuple[str, str], Instance] = field(default_factory=dict)
    associations: list[AssociationEnd] = field(default_factory=list)
    since: datetime | None = None
    unreadable: int = 0

    def merged(self) -> list[Instance]:
        """All: a refusal belongs to the instance that was received under the same UID, if any."""
        for (pacs, uid), refused in self.refusals.items():
            same = [one for key, one in self.instances.items() if key[:2] == (pacs, uid)] if uid else []
            for one in same:
                for event in refused.events:
                    one.add(event)
                one.events_omitted += refused.events_omitted
            if not same:
                self.instances[pacs, uid, ""] = refused
        self.refusals.clear()
        for one in self.instances.values():
            one.sort()
        return sorted(self.instances.values(), key=lambda one: (one.pacs_name, one.path, one.SOPInstanceUID))

    def is_about(self, fields: Mapping[str, Any]) -> bool:
        """Whether something with these fields is meant. No UID is two things, unless a sender is at fault."""
        found = next((one for one in Subject if fields.get(one) == self.wanted), None)
        if found is None or (found is Subject.ACCESSION and not self.by_accession):
            return False
        self.subject = min(self.subject, found, key=list(Subject).index)
        return True


def search(survey: Survey, found: Found) -> Found:
    """Look for a UID or an accession number in all journals.

    Raises:
        OSError: they cannot be read.
    """
    texts = {json.dumps(found.wanted, ensure_ascii=one).encode() for one in (True, False)}
    for entry in survey.entries(
        lambda line: any(text in line for text in texts) or _SEGMENT_OPENED in line[:_HEAD]
    ):
        _add(found, entry)
    found.unreadable = survey.bad_places
    return found


def _add(found: Found, entry: SurveyedRecord) -> None:
    kind, fields = entry.record.kind, entry.record.fields()
    if kind == records.SEGMENT_OPENED:
        opened = _time(fields.get("opened_at"))
        if opened is not None and (found.since is None or opened < found.since):
            found.since = opened
        return
    if not found.is_about(fields):
        return
    try:
        if kind == records.INSTANCE_RECEIVED:
            _received(found, entry, fields)
        elif kind == records.INSTANCE_REFUSED:
            _refused(found, entry, fields)
        elif kind == records.SERIES_ENDED:
            found.associations.append(AssociationEnd.model_validate(fields))
    except ValidationError:
        found.unreadable += 1


def _received(found: Found, entry: SurveyedRecord, fields: Mapping[str, Any]) -> None:
    message = _Message.model_validate(fields)
    uid = message.SOPInstanceUID or ""
    made = Instance(SOPInstanceUID=uid, pacs_name=message.pacs_name, path=message.path, events=[])
    one = found.instances.setdefault((message.pacs_name, uid, message.path), made)
    one.SeriesInstanceUID = message.SeriesInstanceUID or ""
    one.size = message.size
    one.add(_event(entry, fields, event=Kind.RECEIVED, when=fields.get("received_at"), relay=entry.relay))


def _refused(found: Found, entry: SurveyedRecord, fields: Mapping[str, Any]) -> None:
    message = _Message.model_validate(fields)
    uid, pacs = message.SOPInstanceUID or "", _pacs(str(fields.get("calling_ae_title", "")))
    one = found.refusals.setdefault((pacs, uid), Instance(SOPInstanceUID=uid, pacs_name=pacs, events=[]))
    one.SeriesInstanceUID = one.SeriesInstanceUID or message.SeriesInstanceUID or ""
    one.add(_event(entry, fields, event=Kind.REFUSED, when=fields.get("refused_at")))


def _event(entry: SurveyedRecord, fields: Mapping[str, Any], **more: Any) -> Event:
    return Event.model_validate({**fields, "receiver": entry.receiver_id, "relay": None, **more})


def _pacs(calling_ae_title: str) -> str:
    try:
        return pacs_name(calling_ae_title)
    except PathError:
        return ""


def _time(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
