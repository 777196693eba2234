"""One dead letter as a value: what its properties, its headers and its body tell. Pure.

Whatever is wrong with it there is a letter: an undecodable body or a foreign message has empty fields.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from pamqp.commands import Basic

from lapidicom.cli.causes import BY_BROKER, DELIVERY_LIMIT, known_reason
from lapidicom.common.headers import HEADER_ID, HEADER_VERSION, Header, own_headers
from lapidicom.common.messages import SeriesReceived, SeriesSettling, SeriesStarted
from lapidicom.common.topology import WORK_QUEUE
from lapidicom.registrar.consumer import headers as registrar

OF_SERIES: Final = frozenset({SeriesStarted.TYPE, SeriesReceived.TYPE, SeriesSettling.TYPE})

_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)
_UID: Final = re.compile(r"[0-9.]{1,64}", re.ASCII)
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_SHORT: Final = 8
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


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that could not be registered; texts that it lacks are empty.

    Attributes:
        id: by which an operator names it: the stable id, else what there is that looks like an id.
        lapidicom_id: the stable id.
        message_id: of this publish.
        version: of the body's format; 0 if none was given.
        fields: of the body; empty if it cannot be decoded. Patient data.
        headers: our own ones, fit to be published again.
        reason: why it is here, a stable text without values; see lapidicom.cli.causes.
        answer: the beginning of CUBE's last answer. May hold patient data.
        died_at: when it became a dead letter, as far as is known.
    """

    id: str
    lapidicom_id: str
    message_id: str
    type: str
    version: int
    body: bytes = field(repr=False)
    fields: Mapping[str, Any] = field(repr=False)
    headers: Mapping[str, Header] = field(repr=False)
    reason: str
    http_status: int | None
    answer: str = field(repr=False)
    attempts: int
    first_attempt: datetime | None
    last_attempt: datetime | None
    died_at: datetime | None
    registrar: str

    @property
    def pacs_name(self) -> str:
        """Sanitised calling AE title."""
        return _text(self.fields.get("pacs_name"))

    @property
    def path(self) -> str:
        """Of the file or series folder, relative to CUBE's storage root. Patient data."""
        return _text(self.fields.get("path")) or _text(self.fields.get("folder"))

    @property
    def is_of_series(self) -> bool:
        """Whether it is about a whole series: its path is a folder."""
        return self.type in OF_SERIES

    @property
    def copy(self) -> str:
        """Names this copy of a message: its message_id is new in each publish."""
        return self.message_id or self.id

    def uid(self, keyword: str) -> str:
        """A UID of the message; empty if none stands there: whatever else does may be patient data."""
        text = _text(self.fields.get(keyword))
        return text if _UID.fullmatch(text) else ""


def read_letter(body: bytes, properties: Basic.Properties) -> DeadLetter:
    """Read a message of the dead-letter queue as it came, the broker's headers included; never fails."""
    headers: Mapping[str, Any] = properties.headers or {}
    own = own_headers(headers)
    broker_reason, broker_time = _broker_death(headers)
    last = _time(headers.get(registrar.LAST_ATTEMPT))
    stable, message_id = _text(headers.get(HEADER_ID)), _text(properties.message_id)
    return DeadLetter(
        id=next(filter(_ID.fullmatch, (stable, message_id)), f"sha256-{sha256(body).hexdigest()[:16]}"),
        lapidicom_id=stable,
        message_id=message_id,
        type=_text(properties.message_type),
        version=_whole(headers.get(HEADER_VERSION)) or 0,
        body=body,
        fields=_fields(body),
        headers=own,
        reason=broker_reason or known_reason(_text(headers.get(registrar.REASON))),
        http_status=None if broker_reason else _whole(headers.get(registrar.HTTP_STATUS)),
        answer="" if broker_reason else _text(headers.get(registrar.ANSWER)),
        attempts=registrar.history(own).attempts,
        first_attempt=_time(headers.get(registrar.FIRST_ATTEMPT)),
        last_attempt=last,
        died_at=broker_time or last or _time(properties.timestamp),
        registrar=_text(headers.get(registrar.REGISTRAR)),
    )


def _broker_death(headers: Mapping[str, Any]) -> tuple[str, datetime | None]:
    """Why and when the broker itself took it out of the work queue; a registrar leaves no such trace."""
    deaths = headers.get("x-death")
    for death in deaths if isinstance(deaths, list) else ():
        if isinstance(death, dict) and death.get("queue") == WORK_QUEUE:
            reason = _text(death.get("reason"))
            named = DELIVERY_LIMIT if reason == "delivery_limit" else known_reason(f"{BY_BROKER}: {reason}")
            return named, _time(death.get("time"))
    return "", None


def _fields(body: bytes) -> dict[str, Any]:
    try:
        if _SURROGATE.search(body):  # half a pair is JSON, but no text: nothing could show it
            body = json.dumps(json.loads(body), ensure_ascii=False).encode("utf-8", "replace")
        fields = json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _time(value: object) -> datetime | None:
    """In UTC, which AMQP and our headers tell."""
    try:
        when = datetime.fromisoformat(value) if isinstance(value, str) else value
        if not isinstance(when, datetime):
            return None
        return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
