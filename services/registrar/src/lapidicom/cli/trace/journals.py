"""What the journals of a spool tell of one UID or accession number: instances, refusals, associations."""

import json
from collections import defaultdict
from contextlib import suppress
from typing import Final

from pydantic import ValidationError

from lapidicom.cli.trace.story import AssociationEnd, Event, Instance, Trace
from lapidicom.common.instance.errors import PathError
from lapidicom.common.instance.path import pacs_name
from lapidicom.common.journal import records
from lapidicom.common.journal.survey import Survey, SurveyedRecord

_SEGMENT_OPENED: Final = records.SEGMENT_OPENED.encode()
_HEAD: Final = 80
"""Bytes of a record within which its kind stands."""

_OF_INSTANCE: Final = ("SOPInstanceUID", "SeriesInstanceUID", "pacs_name", "path", "size")


def search(survey: Survey, trace: Trace) -> list[Instance]:
    """Look for a UID or an accession number in all journals; its instances, and what they tell beside them.

    Raises:
        OSError: they cannot be read.
    """
    texts = {json.dumps(trace.uid, ensure_ascii=one).encode() for one in (True, False)}
    found: list[Instance] = []
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
                    found.append(_instance(entry))
                elif kind == records.SERIES_ENDED:
                    trace.associations.append(AssociationEnd.model_validate(fields))
            except ValidationError:
                trace.journal_segments_with_bad_lines += 1
    trace.journal_segments_with_bad_lines += survey.bad_places
    return _merged(found)


def _instance(entry: SurveyedRecord) -> Instance:
    """What one record tells: an instance, to which one thing happened."""
    fields = entry.record.fields()
    one = Instance.model_validate(
        {name: fields[name] for name in _OF_INSTANCE if fields.get(name) is not None}
    )
    is_received = entry.record.kind == records.INSTANCE_RECEIVED
    happened = {
        "event": "received" if is_received else "refused",
        "when": fields.get("received_at" if is_received else "refused_at"),
        "receiver": entry.receiver_id,
        "relay": entry.relay if is_received else None,
    }
    one.events = [Event.model_validate({**fields, **happened})]
    with suppress(PathError):
        one.pacs_name = one.pacs_name or pacs_name(one.events[0].calling_ae_title)
    return one


def _merged(found: list[Instance]) -> list[Instance]:
    """Each instance once, by its path; a refusal belongs to what was received under the same UID, if any."""
    by_path: dict[str, Instance] = {}
    received: defaultdict[tuple[str, str], list[Instance]] = defaultdict(list)
    refused: dict[tuple[str, str], Instance] = {}
    for one in found:
        name = one.pacs_name, one.SOPInstanceUID
        known = by_path.setdefault(one.path, one) if one.path else refused.setdefault(name, one)
        if known is not one:
            known.events += one.events
            known.size, known.SeriesInstanceUID = one.size, one.SeriesInstanceUID or known.SeriesInstanceUID
        elif one.path:
            received[name].append(one)
    alone = []
    for name, one in refused.items():
        same = received[name] if one.SOPInstanceUID else []
        for other in same:
            other.events += one.events
        if not same:
            alone.append(one)
    merged = [*by_path.values(), *alone]
    for one in merged:  # of several journals
        one.events.sort(key=lambda event: event.when.timestamp() if event.when else 0.0)
    return merged
