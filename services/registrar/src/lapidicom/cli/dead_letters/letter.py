"""One dead letter as a value: what its properties, its headers and its body tell. Pure code.

Whatever is wrong with it there is a letter: an undecodable body or a foreign message has empty fields.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Protocol

from lapidicom.common.headers import HEADER_ID, HEADER_VERSION, Header, own_headers
from lapidicom.common.topology import WORK_QUEUE
from lapidicom.registrar.consumer import headers as told

DELIVERY_LIMIT = "delivery-limit"
"""The broker itself gave the message up: it was delivered again and again and never ended."""

BY_BROKER = "by-broker"
"""The broker dead-lettered it for another reason, such as a policy's; the reason follows a colon."""

UNTOLD = "untold"
"""Nobody said why: not published by a registrar."""

_UID = re.compile(r"[0-9.]{1,64}", re.ASCII)


_SHORT = 8
"""Characters of a life that a short id keeps."""


def is_named(letter_id: str, wanted: str) -> bool:
    """Whether an operator who types `wanted` means this id.

    An id is `<life>.<sequence>`: of the life a beginning will do, the sequence is whole (17 is not 170).
    Without a dot it is the beginning of the id.
    """
    life, dot, sequence = wanted.partition(".")
    if not dot:
        return letter_id.startswith(wanted)
    its_life, _, its_sequence = letter_id.partition(".")
    return its_life.startswith(life) and its_sequence == sequence


def short_id(letter_id: str) -> str:
    """A short form that `is_named` understands."""
    life, dot, sequence = letter_id.partition(".")
    return f"{life[:_SHORT]}.{sequence}" if dot else life[: 2 * _SHORT]


class Properties(Protocol):
    """AMQP's properties of a message, as far as they are read here."""

    headers: dict[str, Any] | None
    message_id: str | None
    message_type: str | None
    timestamp: datetime | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that could not be registered.

    Attributes:
        lapidicom_id: the stable id; empty for a foreign message.
        message_id: of this publish.
        type: message type.
        version: of the body's format; 0 if none was given.
        body: as it came.
        headers: our own ones, fit to be published again.
        reason: why it is here, a stable text without values; see lapidicom.cli.causes.
        http_status: of CUBE's last answer.
        answer: the beginning of CUBE's last answer. May hold patient data.
        attempts: spent before it was given up.
        first_attempt: when the first attempt failed.
        last_attempt: when the last one did.
        died_at: when it became a dead letter, as far as is known.
        registrar: which registrar gave it up.
        timestamp: of this publish.
        pacs_name: sanitised calling AE title.
        series_uid: SeriesInstanceUID.
        sop_uid: SOPInstanceUID; empty for a message about a series.
        path: of the file or series folder, relative to CUBE's storage root. Patient data.
        size: of the file, bytes.
        delivery_count: how often it was delivered before from the dead letters: each look is one.
    """

    lapidicom_id: str
    message_id: str
    type: str
    version: int
    body: bytes = field(repr=False)
    headers: Mapping[str, Header] = field(repr=False)
    reason: str
    http_status: int | None
    answer: str = field(repr=False)
    attempts: int
    first_attempt: datetime | None
    last_attempt: datetime | None
    died_at: datetime | None
    registrar: str
    timestamp: datetime | None
    pacs_name: str
    series_uid: str
    sop_uid: str
    path: str = field(repr=False)
    size: int | None
    delivery_count: int

    @property
    def id(self) -> str:
        """By which an operator names it: the stable id, else what there is."""
        return self.lapidicom_id or self.message_id or f"sha256-{sha256(self.body).hexdigest()[:16]}"

    @property
    def fields(self) -> dict[str, Any]:
        """The body's fields; empty if it cannot be decoded. Patient data."""
        return _fields(self.body)

    def without_body(self) -> "DeadLetter":
        """The same without the body, where many are kept; what only has its body as id keeps it."""
        return replace(self, body=b"") if self.lapidicom_id or self.message_id else self


def read_letter(body: bytes, properties: Properties) -> DeadLetter:
    """Read a message of the dead-letter queue; never fails.

    Args:
        body: as it came.
        properties: as they came, the broker's headers included.
    """
    headers: Mapping[str, Any] = properties.headers or {}
    own, fields = own_headers(headers), _fields(body)
    broker_reason, broker_time = _broker_death(headers)
    last = _time(headers.get(told.LAST_ATTEMPT))
    status, size = headers.get(told.HTTP_STATUS), fields.get("size")
    timestamp = _aware(properties.timestamp)
    return DeadLetter(
        lapidicom_id=_text(headers.get(HEADER_ID)),
        message_id=_text(properties.message_id),
        type=_text(properties.message_type),
        version=_whole(headers.get(HEADER_VERSION)) or 0,
        body=body,
        headers=own,
        reason=broker_reason or _text(headers.get(told.REASON)) or UNTOLD,
        http_status=None if broker_reason else _whole(status),
        answer="" if broker_reason else _text(headers.get(told.ANSWER)),
        attempts=told.history(own).attempts,
        first_attempt=_time(headers.get(told.FIRST_ATTEMPT)),
        last_attempt=last,
        died_at=broker_time or last or timestamp,
        registrar=_text(headers.get(told.REGISTRAR)),
        timestamp=timestamp,
        pacs_name=_text(fields.get("pacs_name")),
        series_uid=_uid(fields.get("SeriesInstanceUID")),
        sop_uid=_uid(fields.get("SOPInstanceUID")),
        path=_text(fields.get("path")) or _text(fields.get("folder")),
        size=_whole(size),
        delivery_count=_whole(headers.get("x-delivery-count")) or 0,
    )


def _broker_death(headers: Mapping[str, Any]) -> tuple[str, datetime | None]:
    """Why and when the broker itself took it out of the work queue; a registrar leaves no such trace."""
    deaths = headers.get("x-death")
    for death in deaths if isinstance(deaths, list) else ():
        if isinstance(death, dict) and death.get("queue") == WORK_QUEUE:
            reason = _text(death.get("reason"))
            when = death.get("time")
            named = DELIVERY_LIMIT if reason == "delivery_limit" else f"{BY_BROKER}: {reason or 'unknown'}"
            return named, _aware(when if isinstance(when, datetime) else None)
    return "", None


def _fields(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _uid(value: object) -> str:
    """A UID is no patient data; whatever else stands in its place may be, and is left out."""
    text = _text(value)
    return text if _UID.fullmatch(text) else ""


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _time(value: object) -> datetime | None:
    try:
        return _aware(datetime.fromisoformat(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def _aware(value: datetime | None) -> datetime | None:
    """AMQP and our headers tell UTC."""
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value
