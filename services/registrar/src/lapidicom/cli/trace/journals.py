"""What the journals of a spool tell of one UID or accession number: instances, refusals, associations."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from lapidicom.cli.trace.story import AssociationEnd, Event, Instance, Kind, Subject
from lapidicom.common.instance.errors import PathError
from lapidicom.common.instance.path import pacs_name
from lapidicom.common.journal import records
from lapidicom.common.journal.survey import Survey, SurveyedRecord

_SEGMENT_OPENED: Final = records.SEGMENT_OPENED.encode()
_HEAD: Final = 80
"""Bytes of a record within which its kind stands."""


class _Message(BaseModel):
    """The fields of a record that are shown; each may be absent."""

    SOPInstanceUID: str | None = None
    SeriesInstanceUID: str | None = None
    pacs_name: str = ""
    calling_ae_title: str = ""
    path: str = ""
    size: int | None = None


@dataclass(slots=True)
class Found:
    """What the journals tell.

    Attributes:
        wanted: a UID, or an accession number.
        by_accession: whether it may be the latter, which is patient data.
        subject: what it is.
        instances: by PACS, SOPInstanceUID (a refusal may not tell it) and path (no refusal does).
        associations: that brought the series, in the order of the journals.
        since: the oldest record of any journal; None if there is none.
        unreadable: segments with a bad line.
    """

    wanted: str
    by_accession: bool = False
    subject: Subject = Subject.UNKNOWN
    instances: dict[tuple[str, str, str], Instance] = field(default_factory=dict)
    associations: list[AssociationEnd] = field(default_factory=list)
    since: datetime | None = None
    unreadable: int = 0

    def merged(self) -> list[Instance]:
        """All: a refusal belongs to the instance that was received under the same UID, if any."""
        received: dict[tuple[str, str], list[Instance]] = {}
        for (pacs, uid, path), one in self.instances.items():
            if uid and path:
                received.setdefault((pacs, uid), []).append(one)
        for (pacs, uid, path), refused in list(self.instances.items()):
            same = [] if path else received.get((pacs, uid), [])
            for one in same:
                for event in refused.events:
                    one.add(event)
                one.events_omitted += refused.events_omitted
            if same:
                del self.instances[pacs, uid, path]
        for one in self.instances.values():  # of several journals
            one.events.sort(key=lambda event: event.when.timestamp() if event.when else 0.0)
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
        kind, fields = entry.record.kind, entry.record.fields()
        if kind == records.SEGMENT_OPENED:
            opened = records.time_of(entry.record)
            found.since = min(filter(None, (found.since, opened)), default=None)
        elif found.is_about(fields):
            try:
                if kind in {records.INSTANCE_RECEIVED, records.INSTANCE_REFUSED}:
                    _add(found, entry, fields)
                elif kind == records.SERIES_ENDED:
                    found.associations.append(AssociationEnd.model_validate(fields))
            except ValidationError:
                found.unreadable += 1
    found.unreadable += survey.bad_places
    return found


def _add(found: Found, entry: SurveyedRecord, fields: Mapping[str, Any]) -> None:
    message, is_received = _Message.model_validate(fields), entry.record.kind == records.INSTANCE_RECEIVED
    uid, pacs = message.SOPInstanceUID or "", message.pacs_name
    if not is_received:
        with suppress(PathError):
            pacs = pacs_name(message.calling_ae_title)
    made = Instance(SOPInstanceUID=uid, pacs_name=pacs, path=message.path, events=[])
    one = found.instances.setdefault((pacs, uid, message.path), made)
    one.SeriesInstanceUID = message.SeriesInstanceUID or one.SeriesInstanceUID
    one.size = message.size
    happened = {
        "event": Kind.RECEIVED if is_received else Kind.REFUSED,
        "when": fields.get("received_at" if is_received else "refused_at"),
        "receiver": entry.receiver_id,
        "relay": entry.relay if is_received else None,
    }
    one.add(Event.model_validate({**fields, **happened}))
