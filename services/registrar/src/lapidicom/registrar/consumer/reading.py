"""Reads a delivery's message by its type and version: the message, or what becomes of it unread."""

from pydantic import ValidationError

from lapidicom.common.messages import InstanceStored, SeriesReceived
from lapidicom.registrar.cube.outcomes import Outcome, Verdict

KNOWN: tuple[type[InstanceStored] | type[SeriesReceived], ...] = (InstanceStored, SeriesReceived)


def read(message_type: str, version: int, body: bytes) -> InstanceStored | SeriesReceived | Verdict:
    """Decode a message.

    Routing keys tell nothing: a retried message comes with the queue's name as key. A newer version
    is no fault: in a rolling upgrade a newer registrar will take it.
    """
    model = next((model for model in KNOWN if message_type == model.TYPE), None)
    if model is None:
        return Verdict(Outcome.PERMANENT, "unknown-type")
    if version > model.VERSION:
        return Verdict(Outcome.NEWER, "newer-version")
    if version < model.VERSION:
        return Verdict(Outcome.PERMANENT, "unsupported-version")
    try:
        return model.model_validate_json(body)
    except ValidationError:
        return Verdict(Outcome.PERMANENT, "undecodable")
