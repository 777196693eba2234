"""From a record to the message that it leads to: what was written is sent, byte for byte. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from lapidicom.common.broker.publisher import Envelope
from lapidicom.common.journal import records
from lapidicom.common.journal.records import Record
from lapidicom.common.messages import InstanceStored, Message, SeriesReceived
from lapidicom.common.topology import EXCHANGE

_MESSAGES: Final[Mapping[str, type[Message]]] = {
    records.INSTANCE_RECEIVED: InstanceStored,
    records.SERIES_ENDED: SeriesReceived,
}
_NO_HEADERS: Final[Mapping[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message, and the offset in its segment at which its record begins."""

    offset: int
    envelope: Envelope


def envelope_of(life: str, record: Record) -> Envelope | None:
    """The message of a record; None for one that leads to none. Its body is not looked at.

    Args:
        life: of the journal, for the stable id.
        record: of any kind.
    """
    message = _MESSAGES.get(record.kind)
    if message is None:
        return None
    headers = record.header_fields() if record.headers else _NO_HEADERS
    return message_envelope(message, f"{life}.{record.sequence}", record.body, headers)


def broken_off(
    life: str, sequence: int, fields: Mapping[str, Any], received: int, refused: int, files: int | None
) -> Envelope:
    """The message of a series whose receiver ended before the association did.

    Args:
        life: of the journal.
        sequence: of the record that opened the series.
        fields: of a SeriesReceived, but for its counts; others are left out.
        received: instance records of the series.
        refused: refusals.
        files: in the series folder, if they could be counted.

    Raises:
        ValueError: no message can be made of it.
    """
    message = records.series_received_of(
        fields, received=received, refused=refused, ok=False, ended_at=datetime.now(UTC), files=files
    )
    body = message.model_dump_json().encode()
    return message_envelope(SeriesReceived, f"{life}.{sequence}.ended", body, _NO_HEADERS)


def message_envelope(
    message: type[Message], lapidicom_id: str, body: bytes, headers: Mapping[str, Any]
) -> Envelope:
    """A message as it is published first."""
    return Envelope(
        exchange=EXCHANGE,
        routing_key=message.ROUTING_KEY,
        type=message.TYPE,
        version=message.VERSION,
        lapidicom_id=lapidicom_id,
        body=body,
        headers=headers,
    )
