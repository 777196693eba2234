"""The records of a journal: their bodies, and how they are read again. Pure.

A body is the inner text of a JSON object, without braces and without the sequence number, which
the writer adds. Each record that leads to a message holds all that the message carries.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from lapidicom.common.journal.format import FORMAT_VERSION
from lapidicom.common.messages import SeriesReceived

INSTANCE_RECEIVED: Final = "instance_received"
"""`message`: the InstanceStored body. Optional `trace`: headers that go along with the message."""

INSTANCE_REFUSED: Final = "instance_refused"
SERIES_STARTED: Final = "series_started"
"""`series`: the SeriesReceived body less its counts, `ok` and `ended_at`."""

SERIES_ENDED: Final = "series_ended"
"""`message`: the SeriesReceived body. Optional `trace`, likewise."""

ASSOCIATION_ENDED: Final = "association_ended"
SEGMENT_OPENED: Final = "segment_opened"
"""First record of each segment: `open_series` lists the series still open, with their counts so far."""

_STARTED: Final = b'"record":"series_started","series":'

COUNT_FIELDS: Final = frozenset({"received", "refused", "ok", "ended_at"})


class RecordError(Exception):
    """A good line that holds no record: written by something else, or by a newer version."""


class SeriesKey(NamedTuple):
    """A series in one association. `folder` is the series folder relative to CUBE's storage root."""

    association_id: str
    folder: str


@dataclass(slots=True)
class OpenSeries:
    """A series that an association has begun and not ended.

    Attributes:
        sequence: of its series_started record.
        fields: JSON text of the SeriesReceived body less its counts, `ok` and `ended_at`.
        received: instance records so far.
        refused: refusals so far.
    """

    sequence: int
    fields: bytes
    received: int = 0
    refused: int = 0


def series_started(fields: Mapping[str, object]) -> bytes:
    """The body that opens a series.

    Args:
        fields: all of SeriesReceived but `received`, `refused`, `ok` and `ended_at`.

    Raises:
        ValueError: no SeriesReceived can be made of them.
    """
    series_received_of(fields, received=0, refused=0, ok=False, ended_at=datetime.now(UTC))
    return _STARTED + json.dumps(dict(fields), separators=(",", ":")).encode()


def series_received_of(
    fields: Mapping[str, object], *, received: int, refused: int, ok: bool, ended_at: datetime
) -> SeriesReceived:
    """The message that ends a series.

    Raises:
        ValueError: the fields are not those of a SeriesReceived.
    """
    kept = {name: value for name, value in fields.items() if name not in COUNT_FIELDS}
    return SeriesReceived.model_validate(
        {**kept, "received": received, "refused": refused, "ok": ok, "ended_at": ended_at}
    )


def series_ended(message: SeriesReceived) -> bytes:
    """The body that ends a series."""
    return b'"record":"%b","message":%b' % (SERIES_ENDED.encode(), message.model_dump_json().encode())


def trace(headers: Mapping[str, str]) -> bytes:
    """What is appended to the body of a record that leads to a message: headers that go along with it.

    Args:
        headers: the W3C trace context; none gives nothing to append.
    """
    return b',"trace":%b' % json.dumps(dict(headers), separators=(",", ":")).encode() if headers else b""


def instance_refused(
    *,
    association_id: str,
    calling_ae_title: str,
    peer_address: str,
    status: int,
    reason: str,
    offending: Iterable[int] = (),
    folder: str | None = None,
    refused_at: datetime | None = None,
    uids: Mapping[str, str | None] | None = None,
) -> bytes:
    """The body that tells of a refusal.

    Args:
        association_id: of the association.
        calling_ae_title: as received, trimmed.
        peer_address: host:port of the SCU.
        status: of the C-STORE response.
        reason: the Error Comment (0000,0902): names the tag and the fault, never a value.
        offending: the tags of the Offending Element (0000,0901), as 0xGGGGEEEE.
        folder: the series folder, if known: the refusal then counts for that series.
        refused_at: now, if not given.
        uids: by DICOM keyword, as far as known.
    """
    values = {
        "record": INSTANCE_REFUSED,
        "association_id": association_id,
        "calling_ae_title": calling_ae_title,
        "peer_address": peer_address,
        "status": f"0x{status:04X}",
        "reason": reason,
        "tags": [f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in offending],
        "folder": folder,
        "refused_at": (refused_at or datetime.now(UTC)).isoformat(timespec="milliseconds"),
        **(uids or {}),
    }
    return _inner({name: value for name, value in values.items() if value not in (None, [])})


def association_ended(
    *,
    association_id: str,
    calling_ae_title: str,
    called_ae_title: str,
    peer_address: str,
    how: str,
    received: int,
    refused: int,
    ended_at: datetime | None = None,
) -> bytes:
    """The body that tells of an association's end.

    Args:
        association_id: of the association.
        calling_ae_title: as received, trimmed.
        called_ae_title: as received, trimmed.
        peer_address: host:port of the SCU.
        how: `released`, `aborted`, `lost` or the like.
        received: instances answered with success.
        refused: instances answered with a failure.
        ended_at: now, if not given.
    """
    return _inner(
        {
            "record": ASSOCIATION_ENDED,
            "association_id": association_id,
            "calling_ae_title": calling_ae_title,
            "called_ae_title": called_ae_title,
            "peer_address": peer_address,
            "how": how,
            "received": received,
            "refused": refused,
            "ended_at": (ended_at or datetime.now(UTC)).isoformat(timespec="milliseconds"),
        }
    )


def segment_opened(life: str, receiver_id: str, opened_at: datetime, series: Iterable[OpenSeries]) -> bytes:
    """The body that begins a segment."""
    listed = b",".join(
        b'{"sequence":%d,"received":%d,"refused":%d,"series":%b}'
        % (one.sequence, one.received, one.refused, one.fields)
        for one in series
    )
    head = _inner(
        {
            "record": SEGMENT_OPENED,
            "format": FORMAT_VERSION,
            "life": life,
            "receiver": receiver_id,
            "opened_at": opened_at.isoformat(timespec="milliseconds"),
        }
    )
    return b'%b,"open_series":[%b]' % (head, listed)


def series_fields_of(started: bytes) -> bytes:
    """The JSON text of the fields in a body that `series_started` made."""
    return started.removeprefix(_STARTED)


def parse(text: bytes) -> dict[str, Any]:
    """The record in a line's JSON text; it has a `record` and a `sequence`.

    Raises:
        RecordError: it is none.
    """
    try:
        record = json.loads(text)
    except ValueError as error:
        raise RecordError("no JSON") from error
    if not isinstance(record, dict):
        raise RecordError("no JSON object")
    if not isinstance(record.get("record"), str) or not isinstance(record.get("sequence"), int):
        raise RecordError("no record")
    return record


def _inner(values: Mapping[str, object]) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode()[1:-1]
