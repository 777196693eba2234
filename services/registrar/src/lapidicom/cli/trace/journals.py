"""What the journals of a spool tell of one UID or accession number: instances, refusals, associations."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from lapidicom.cli.trace.story import AssociationEnd, Event, Instance, Kind, Trace
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


_Instances = dict[tuple[str, str, str], Instance]
"""By PACS, SOPInstanceUID (a refusal may not tell it) and path (no refusal does)."""


def search(survey: Survey, trace: Trace) -> list[Instance]:
    """Look for a UID or an accession number in all journals; its instances, and what they tell beside them.

    Raises:
        OSError: they cannot be read.
    """
    texts = {json.dumps(trace.uid, ensure_ascii=one).encode() for one in (True, False)}
    instances: _Instances = {}
    for entry in survey.entries(
        lambda line: any(text in line for text in texts) or _SEGMENT_OPENED in line[:_HEAD]
    ):
        kind, fields = entry.record.kind, entry.record.fields()
        if kind == records.SEGMENT_OPENED:
            opened = records.time_of(entry.record)
            trace.journals_since = min(filter(None, (trace.journals_since, opened)), default=None)
        elif trace.is_about(fields):
            try:
                if kind in {records.INSTANCE_RECEIVED, records.INSTANCE_REFUSED}:
                    _add(instances, entry, fields)
                elif kind == records.SERIES_ENDED:
                    trace.associations.append(AssociationEnd.model_validate(fields))
            except ValidationError:
                trace.journal_segments_with_bad_lines += 1
    trace.journal_segments_with_bad_lines += survey.bad_places
    return _merged(instances)


def _merged(instances: _Instances) -> list[Instance]:
    """All: a refusal belongs to the instance that was received under the same UID, if any."""
    received: dict[tuple[str, str], list[Instance]] = {}
    for (pacs, uid, path), one in instances.items():
        if uid and path:
            received.setdefault((pacs, uid), []).append(one)
    for (pacs, uid, path), refused in list(instances.items()):
        same = [] if path else received.get((pacs, uid), [])
        for one in same:
            for event in refused.events:
                one.add(event)
            one.events_omitted += refused.events_omitted
        if same:
            del instances[pacs, uid, path]
    for one in instances.values():  # of several journals
        one.events.sort(key=lambda event: event.when.timestamp() if event.when else 0.0)
    return sorted(instances.values(), key=lambda one: (one.pacs_name, one.path, one.SOPInstanceUID))


def _add(instances: _Instances, entry: SurveyedRecord, fields: Mapping[str, Any]) -> None:
    message, is_received = _Message.model_validate(fields), entry.record.kind == records.INSTANCE_RECEIVED
    uid, pacs = message.SOPInstanceUID or "", message.pacs_name
    if not is_received:
        with suppress(PathError):
            pacs = pacs_name(message.calling_ae_title)
    made = Instance(SOPInstanceUID=uid, pacs_name=pacs, path=message.path, events=[])
    one = instances.setdefault((pacs, uid, message.path), made)
    one.SeriesInstanceUID = message.SeriesInstanceUID or one.SeriesInstanceUID
    one.size = message.size
    happened = {
        "event": Kind.RECEIVED if is_received else Kind.REFUSED,
        "when": fields.get("received_at" if is_received else "refused_at"),
        "receiver": entry.receiver_id,
        "relay": entry.relay if is_received else None,
    }
    one.add(Event.model_validate({**fields, **happened}))
