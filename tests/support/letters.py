"""Dead letters as the command reads them, without a broker."""

from datetime import datetime
from typing import Any

from pamqp.commands import Basic

from lapidicom.cli.letter import DeadLetter, read_letter
from lapidicom.common.messages import HEADER_ID, HEADER_VERSION
from tests.support.dead_letters import dead_letter


def properties(
    headers: dict[str, Any] | None,
    message_id: str | None = "m1",
    message_type: str | None = "InstanceStored",
    timestamp: datetime | None = None,
) -> Basic.Properties:
    """AMQP's properties of a message."""
    return Basic.Properties(
        headers=headers, message_id=message_id, message_type=message_type, timestamp=timestamp
    )


def letter(*arguments: Any, **changes: Any) -> DeadLetter:
    """A letter; the arguments are those of `dead_letter`."""
    envelope = dead_letter(*arguments, **changes)
    headers = {**envelope.headers, HEADER_ID: envelope.lapidicom_id, HEADER_VERSION: envelope.version}
    return read_letter(envelope.body, properties(headers, message_type=envelope.type))
