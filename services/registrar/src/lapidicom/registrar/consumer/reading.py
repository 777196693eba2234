"""Reads a delivery's message by its type and version: the message, or what becomes of it unread."""

from pydantic import ValidationError

from lapidicom.common.messages import (
    AnyMessage,
    InstanceStored,
    SeriesReceived,
    SeriesSettling,
    SeriesStarted,
)
from lapidicom.registrar.cube.outcomes import Outcome, Verdict

KNOWN: tuple[type[AnyMessage], ...] = (InstanceStored, SeriesStarted, SeriesReceived, SeriesSettling)


def read(message_type: str, version: int, body: bytes) -> AnyMessage | Verdict:
    """Decode a message.

    Routing keys tell nothing: a retried message comes with the queue's name as key. A type or version that
    is not known is no fault: in an upgrade another registrar will take it.
    """
    model = next((model for model in KNOWN if message_type == model.TYPE), None)
    if model is None:
        return Verdict(Outcome.UNKNOWN_FORMAT, "unknown-type")
    if version != model.VERSION:
        return Verdict(Outcome.UNKNOWN_FORMAT, "unknown-version")
    try:
        return model.model_validate_json(body)
    except ValidationError:
        return Verdict(Outcome.INVALID, "undecodable")
