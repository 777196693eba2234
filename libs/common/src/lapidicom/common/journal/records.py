"""The records of a journal: how they are made, and how they are read again. Pure.

The text of a line holds three or four fields, with a tab between them: sequence number, kind, body, and
headers, if there are any. Body and headers are JSON texts, in which no raw tab can stand. The body of a
record that leads to a message is the body of that message, byte for byte as it will be published.

What is made here is the text without its sequence number, which the owner adds.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from lapidicom.common.journal.format import FORMAT, Position
from lapidicom.common.messages import SeriesReceived

INSTANCE_RECEIVED: Final = "instance_received"
"""Body: of an InstanceStored, version 1; its `path` comes first. Headers: go along with the message."""

SERIES_ENDED: Final = "series_ended"
"""Body: of a SeriesReceived, version 1. Headers, likewise."""

SERIES_STARTED: Final = "series_started"
"""Body: that of a SeriesReceived less `received`, `refused`, `ok` and `ended_at`."""

INSTANCE_REFUSED: Final = "instance_refused"
ASSOCIATION_ENDED: Final = "association_ended"
STORE_TRIED: Final = "store_tried"
"""A listener that had refused instances has tried a store of its own."""

SEGMENT_OPENED: Final = "segment_opened"
"""First in each segment. `open_series` tells how many records SERIES_OPEN follow; `durable`, as segment and
offset, up to where everything before this segment is durable."""

SERIES_OPEN: Final = "series_open"
"""A series that was open when the segment began: `sequence` of its SERIES_STARTED, counts, and its body."""

_KINDS: Final[Mapping[bytes, str]] = {
    kind.encode(): kind
    for kind in (
        INSTANCE_RECEIVED,
        SERIES_ENDED,
        SERIES_STARTED,
        INSTANCE_REFUSED,
        ASSOCIATION_ENDED,
        STORE_TRIED,
        SEGMENT_OPENED,
        SERIES_OPEN,
    )
}
_STARTED: Final = b"series_started\t"

COUNT_FIELDS: Final = frozenset({"received", "refused", "ok", "ended_at", "files"})


class UnknownRecord(Exception):
    """A good line that this version cannot read: a newer one wrote it. The text holds no values."""


class Record(NamedTuple):
    """A record.

    Attributes:
        sequence: its number, unique in its life.
        kind: one of the kinds above.
        body: JSON text.
        headers: JSON text of what goes along with the message; empty if there is none.
    """

    sequence: int
    kind: str
    body: bytes
    headers: bytes = b""

    def fields(self) -> dict[str, Any]:
        """What the body holds; empty if it is no JSON object."""
        return _json_object(self.body)

    def header_fields(self) -> dict[str, Any]:
        """What goes along with the message."""
        return _json_object(self.headers)


def parse(text: bytes) -> Record:
    """The record in a line's text.

    Raises:
        UnknownRecord: it is of a kind that this version does not know, or none at all.
    """
    parts = text.split(b"\t")
    kind = _KINDS.get(parts[1]) if 3 <= len(parts) <= 4 else None
    if kind is None or not parts[0].isdigit():
        named = parts[1][:32].decode("ascii", "replace") if len(parts) > 1 else "without a kind"
        raise UnknownRecord(f"record {named}")
    return Record(int(parts[0]), kind, *parts[2:])


def time_of(record: Record) -> datetime | None:
    """When a record was made; None if it does not tell."""
    fields = record.fields()
    for name in ("received_at", "ended_at", "refused_at", "opened_at"):
        value = fields.get(name)
        if isinstance(value, str):
            try:
                return datetime.fromisoformat(value)
            except ValueError:
                return None
    return None


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


def instance_received(message: bytes) -> bytes:
    """The record that leads to an InstanceStored message.

    Args:
        message: its body; `path` comes first.
    """
    return b"instance_received\t" + message


def series_started(fields: Mapping[str, object]) -> bytes:
    """The record that opens a series.

    Args:
        fields: all of SeriesReceived but `received`, `refused`, `ok` and `ended_at`.

    Raises:
        ValueError: no SeriesReceived can be made of them.
    """
    series_received_of(fields, received=0, refused=0, ok=False, ended_at=datetime.now(UTC))
    return _STARTED + _json(fields)


def series_received_of(
    fields: Mapping[str, object],
    *,
    received: int,
    refused: int,
    ok: bool,
    ended_at: datetime,
    files: int | None = None,
) -> SeriesReceived:
    """The message that ends a series.

    Raises:
        ValueError: the fields are not those of a SeriesReceived.
    """
    kept = {name: value for name, value in fields.items() if name not in COUNT_FIELDS}
    return SeriesReceived.model_validate(
        {**kept, "received": received, "refused": refused, "ok": ok, "ended_at": ended_at, "files": files}
    )


def series_ended(message: SeriesReceived) -> bytes:
    """The record that ends a series."""
    return b"series_ended\t" + message.model_dump_json().encode()


def trace(headers: Mapping[str, str]) -> bytes:
    """What is appended to a record that leads to a message: headers that go along with it.

    Args:
        headers: the W3C trace context; none gives nothing to append.
    """
    return b"\t" + _json(headers) if headers else b""


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
    """The record of a refusal.

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
        "association_id": association_id,
        "calling_ae_title": calling_ae_title,
        "peer_address": peer_address,
        "status": f"0x{status:04X}",
        "reason": reason,
        "tags": [f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in offending],
        "folder": folder,
        "refused_at": _moment(refused_at),
        **(uids or {}),
    }
    known = {name: value for name, value in values.items() if value not in (None, [])}
    return b"instance_refused\t" + _json(known)


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
    """The record of an association's end.

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
    values = {
        "association_id": association_id,
        "calling_ae_title": calling_ae_title,
        "called_ae_title": called_ae_title,
        "peer_address": peer_address,
        "how": how,
        "received": received,
        "refused": refused,
        "ended_at": _moment(ended_at),
    }
    return b"association_ended\t" + _json(values)


def store_tried() -> bytes:
    """The record of a listener's own store; it leads to no message."""
    return b"store_tried\t{}"


def segment_opened(
    life: str, receiver_id: str, opened_at: datetime, *, durable: Position, open_series: int
) -> bytes:
    """The record that begins a segment.

    Args:
        life: of the journal.
        receiver_id: CHRIS_RECEIVER_ID.
        opened_at: now.
        durable: everything in earlier segments up to here is durable; nothing behind it was answered.
        open_series: how many SERIES_OPEN follow.
    """
    values = {
        "format": FORMAT,
        "life": life,
        "receiver": receiver_id,
        "opened_at": _moment(opened_at),
        "durable": [durable.segment, durable.offset],
        "open_series": open_series,
    }
    return b"segment_opened\t" + _json(values)


def series_open(series: OpenSeries) -> bytes:
    """The record of a series that is open when a segment begins."""
    return b'series_open\t{"sequence":%d,"received":%d,"refused":%d,"series":%b}' % (
        series.sequence,
        series.received,
        series.refused,
        series.fields,
    )


def series_fields_of(started: bytes) -> bytes:
    """The body of a record that `series_started` made."""
    return started.removeprefix(_STARTED)


def _moment(moment: datetime | None) -> str:
    return (moment or datetime.now(UTC)).isoformat(timespec="milliseconds")


def _json(values: Mapping[str, object]) -> bytes:
    return json.dumps(dict(values), separators=(",", ":")).encode()


def _json_object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
