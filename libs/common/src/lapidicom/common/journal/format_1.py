"""Reads the records of format 1, which receivers wrote before: JSON objects with kind and number. Pure.

    d0b1c2e3 {"sequence":42,"record":"instance_received","message":{...},"trace":{...}}

They become the records of today. The body of a message is encoded anew; all of its fields are kept.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from lapidicom.common.journal import records
from lapidicom.common.journal.records import Record, UnknownRecord

_BODY_IN: Final[Mapping[str, str | None]] = {
    records.INSTANCE_RECEIVED: "message",
    records.SERIES_ENDED: "message",
    records.SERIES_STARTED: "series",
    records.INSTANCE_REFUSED: None,
    records.ASSOCIATION_ENDED: None,
    records.SEGMENT_OPENED: None,  # `open_series` holds the series themselves
}
"""Where each kind has its body; None: it is the whole object."""


def parse(text: bytes) -> Record:
    """The record in a line's text.

    Raises:
        UnknownRecord: it is of a kind that format 1 does not have, or none at all.
    """
    try:
        found: Any = json.loads(text)
        kind, sequence = found["record"], found["sequence"]
        name = _BODY_IN[kind]
    except (ValueError, TypeError, KeyError):
        raise UnknownRecord("record that is none of format 1") from None
    if not isinstance(sequence, int):
        raise UnknownRecord("record that is none of format 1")
    body = found if name is None else found.get(name)
    trace = found.get("trace")
    return Record(sequence, kind, _json(body), _json(trace) if trace else b"")


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
