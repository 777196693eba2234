"""From a record to the message that it leads to. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import ValidationError

from lapidicom.common.broker.publisher import Envelope
from lapidicom.common.journal import records
from lapidicom.common.journal.records import RecordError
from lapidicom.common.messages import InstanceStored, Message, SeriesReceived
from lapidicom.common.topology import EXCHANGE

_MESSAGES: Final[Mapping[str, type[Message]]] = {
    records.INSTANCE_RECEIVED: InstanceStored,
    records.SERIES_ENDED: SeriesReceived,
}
_SILENT: Final = frozenset(
    {
        records.INSTANCE_REFUSED,
        records.SERIES_STARTED,
        records.ASSOCIATION_ENDED,
        records.SEGMENT_OPENED,
    }
)


def envelope_of(life: str, record: Mapping[str, Any]) -> Envelope | None:
    """The message of a record; None for one that leads to none.

    Args:
        life: of the journal, for the stable id.
        record: as `records.parse` read it.

    Raises:
        RecordError: no message can be made of it; the text holds no values.
    """
    kind = record["record"]
    if kind in _SILENT:
        return None
    model = _MESSAGES.get(kind)
    if model is None:
        raise RecordError(f"unknown record {kind[:32]!r}")
    try:
        message = model.model_validate(record.get("message"))
    except ValidationError as error:
        raise RecordError(_faults(error)) from None
    trace = record.get("trace")
    return _envelope(message, f"{life}.{record['sequence']}", trace if isinstance(trace, dict) else {})


def broken_off(life: str, sequence: int, fields: Mapping[str, Any], received: int, refused: int) -> Envelope:
    """The message of a series whose receiver ended before the association did.

    Args:
        life: of the journal.
        sequence: of its series_started record.
        fields: of that record.
        received: instance records of the series.
        refused: refusals.

    Raises:
        RecordError: no message can be made of it.
    """
    try:
        message = records.series_received_of(
            fields, received=received, refused=refused, ok=False, ended_at=datetime.now(UTC)
        )
    except ValidationError as error:
        raise RecordError(_faults(error)) from None
    return _envelope(message, f"{life}.{sequence}.ended", {})


def _envelope(message: Message, lapidicom_id: str, headers: Mapping[str, Any]) -> Envelope:
    return Envelope(
        exchange=EXCHANGE,
        routing_key=message.ROUTING_KEY,
        type=message.TYPE,
        version=message.VERSION,
        lapidicom_id=lapidicom_id,
        body=message.model_dump_json().encode(),
        headers=headers,
    )


def _faults(error: ValidationError) -> str:
    """Which fields are wrong and how; never their values, which may be a patient's."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['type']}" for fault in faults)[:200]
