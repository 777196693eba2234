"""The format of an export: JSON lines, one per message, with all that AMQP carries. Pure code.

The first line says what it is, the last one how many lines stand between: a cut file is noticed. JSON's
own types stand for AMQP's; what JSON lacks is an object with the one key `$bytes` (base64), `$time`
(ISO 8601), `$decimal` or `$table` (a nested table). Real numbers in headers are published with single
precision: the client library knows no other.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TextIO

from pamqp.commands import Basic

FORMAT: Final = "lapidicom dead letters"
VERSION: Final = 1

PROPERTIES: Final = (
    "content_type",
    "content_encoding",
    "delivery_mode",
    "priority",
    "correlation_id",
    "reply_to",
    "expiration",
    "message_id",
    "timestamp",
    "message_type",
    "user_id",
    "app_id",
)
"""All of AMQP's basic properties but the headers and the reserved one."""

OF_DELIVERIES: Final = frozenset({"x-delivery-count", "x-acquired-count"})
"""Headers that RabbitMQ adds to each delivery; they are no part of the message."""


class NoExport(Exception):
    """The file is no export of ours, or not a whole one; the text says where."""


@dataclass(frozen=True, slots=True)
class Exported:
    """One message as it stands in an export.

    Attributes:
        routing_key: with which it came to the dead letters.
        body: as it came.
        properties: those of PROPERTIES that are set.
        headers: all of them, the broker's included.
    """

    routing_key: str
    body: bytes = field(repr=False)
    properties: Mapping[str, Any] = field(repr=False)
    headers: Mapping[str, Any] = field(repr=False)

    def amqp(self) -> Basic.Properties:
        """The properties to publish it with."""
        return Basic.Properties(**self.properties, headers=dict(self.headers))


def exported(routing_key: str, body: bytes, properties: Basic.Properties) -> Exported:
    """Take a message as it came."""
    values = {name: getattr(properties, name) for name in PROPERTIES}
    headers = properties.headers or {}
    return Exported(
        routing_key,
        body,
        {name: value for name, value in values.items() if value is not None},
        {name: value for name, value in headers.items() if name not in OF_DELIVERIES},
    )


def first_line(when: str, who: str) -> str:
    """The line that says what the file is."""
    return json.dumps({"format": FORMAT, "version": VERSION, "when": when, "who": who})


def last_line(count: int) -> str:
    """The line that says that it is whole."""
    return json.dumps({"messages": count})


def line(message: Exported) -> str:
    """A message as a line."""
    return json.dumps(
        {
            "routing_key": message.routing_key,
            "properties": _encode(message.properties),
            "headers": _encode(message.headers),
            **_encode_body(message.body),
        },
        ensure_ascii=False,
    )


def read_lines(file: TextIO) -> Iterator[Exported]:
    """Read an export, line by line.

    Raises:
        NoExport: it is none, of a newer version, or cut. What was yielded before is right.
    """
    head = _object(file.readline(), 1)
    if head.get("format") != FORMAT:
        raise NoExport("the first line does not say that it is an export of dead letters")
    if head.get("version") != VERSION:
        raise NoExport(f"it is of version {head.get('version')!r}, not {VERSION}")
    count, ended = 0, False
    for number, text in enumerate(file, 2):
        if ended:
            raise NoExport(f"line {number} stands behind the last one")
        fields = _object(text, number)
        if set(fields) == {"messages"}:
            if fields["messages"] != count:
                raise NoExport(f"it should hold {fields['messages']!r} messages and holds {count}")
            ended = True
            continue
        yield _message(fields, number)
        count += 1
    if not ended:
        raise NoExport("its last line is missing: it was cut")


def _object(text: str, number: int) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        raise NoExport(f"line {number} is no JSON") from None
    if not isinstance(fields, dict):
        raise NoExport(f"line {number} is no JSON object")
    return fields


def _message(fields: Mapping[str, Any], number: int) -> Exported:
    try:
        properties, headers = _table(fields["properties"]), _table(fields["headers"])
        routing_key = fields["routing_key"]
        body = (
            fields["text"].encode() if "text" in fields else base64.b64decode(fields["base64"], validate=True)
        )
        message = Exported(routing_key, body, properties, headers)
        message.amqp().marshal()
        _check(message)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError):
        raise NoExport(f"line {number} is no message") from None
    return message


def _table(value: Any) -> dict[str, Any]:
    table = _decode(value)
    if not isinstance(table, dict):
        raise TypeError(value)
    return table


def _check(message: Exported) -> None:
    if not set(message.properties) <= set(PROPERTIES) or not isinstance(message.routing_key, str):
        raise ValueError(message)


def _encode_body(body: bytes) -> dict[str, str]:
    """Text where it is text: an operator may read it."""
    try:
        return {"text": body.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}


def _encode(value: Any) -> Any:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case bytes() | bytearray():
            return {"$bytes": base64.b64encode(value).decode()}
        case datetime():
            return {"$time": value.isoformat()}
        case Decimal():
            return {"$decimal": str(value)}
        case list():
            return [_encode(one) for one in value]
        case dict() if any(name.startswith("$") for name in value):
            return {"$table": [[name, _encode(one)] for name, one in value.items()]}
        case Mapping():
            return {name: _encode(one) for name, one in value.items()}
        case _:
            raise TypeError(f"AMQP has no {type(value).__name__}")


def _decode(value: Any) -> Any:
    match value:
        case {"$bytes": str(text), **rest} if not rest:
            return bytearray(base64.b64decode(text, validate=True))  # pamqp publishes bytes as this only
        case {"$time": str(text), **rest} if not rest:
            return datetime.fromisoformat(text)
        case {"$decimal": str(text), **rest} if not rest:
            return Decimal(text)
        case {"$table": list(pairs), **rest} if not rest:
            return {name: _decode(one) for name, one in pairs}
        case dict():
            return {name: _decode(one) for name, one in value.items()}
        case list():
            return [_decode(one) for one in value]
        case _:
            return value
