"""Exports: JSON lines, one per message, with all that AMQP carries; written whole and durable, or not at all.

The first line says what it is, the last one how many lines stand between: a cut file is noticed. JSON's own
types stand for AMQP's; what JSON lacks is an object with the one key `$bytes` (base64), `$time` (ISO 8601),
`$decimal` or `$table` (a nested table). Real numbers in headers are published with single precision: the
client library knows no other.
"""

import base64
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from pamqp.commands import Basic

from lapidicom.cli.errors import OperatorError

FORMAT: Final = "lapidicom dead letters"
OF_QUEUE: Final = "lapidicom messages of {}"
"""Format of an export of another queue, which must not become dead letters."""

VERSION: Final = 1

PROPERTIES: Final = (
    *("content_type", "content_encoding", "delivery_mode", "priority", "correlation_id", "reply_to"),
    *("expiration", "message_id", "timestamp", "message_type", "user_id", "app_id"),
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
        routing_key: with which it came to its queue.
        body: as it came.
        properties: those of PROPERTIES that are set.
        headers: all of them, the broker's included.
    """

    routing_key: str
    body: bytes = field(repr=False)
    properties: Mapping[str, Any] = field(repr=False)
    headers: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, routing_key: str, body: bytes, properties: Basic.Properties) -> "Exported":
        """Take a message as it came."""
        values = {name: getattr(properties, name) for name in PROPERTIES}
        headers = properties.headers or {}
        return cls(
            routing_key,
            body,
            {name: value for name, value in values.items() if value is not None},
            {name: value for name, value in headers.items() if name not in OF_DELIVERIES},
        )

    def amqp(self) -> Basic.Properties:
        """The properties to publish it with."""
        return Basic.Properties(**self.properties, headers=dict(self.headers))

    def line(self) -> str:
        """As a line; a body that is text stays one, so that an operator may read it."""
        try:
            body = {"text": self.body.decode()}
        except UnicodeDecodeError:
            body = {"base64": base64.b64encode(self.body).decode()}
        properties, headers = _encode(self.properties), _encode(self.headers)
        fields = {"routing_key": self.routing_key, "properties": properties, "headers": headers, **body}
        return json.dumps(fields, ensure_ascii=False)


def read_export(path: Path) -> Iterator[Exported]:
    """Read an export, line by line.

    Raises:
        NoExport: it is none, of a newer version, or cut. What was yielded before is right.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = _object(file.readline(), 1)
        if head.get("format") != FORMAT:
            raise NoExport("the first line does not say that it is an export of dead letters")
        if head.get("version") != VERSION:
            raise NoExport(f"it is of version {head.get('version')!r}, not {VERSION}")
        count, number = 0, 1
        for number, text in enumerate(file, 2):
            fields = _object(text, number)
            if set(fields) == {"messages"}:
                break
            yield _message(fields, number)
            count += 1
        else:
            raise NoExport("its last line is missing: it was cut")
        if fields["messages"] != count:
            raise NoExport(f"it should hold {fields['messages']!r} messages and holds {count}")
        if file.read(1):
            raise NoExport(f"line {number + 1} stands behind the last one")


@contextmanager
def written(path: Path, form: str = FORMAT) -> Iterator[Callable[[Exported], None]]:
    """Write an export beside its place; when the block ends well it is fsynced and put there, mode 0600.

    Args:
        path: of a file that does not exist.
        form: FORMAT, or OF_QUEUE with the name of another queue.

    Yields:
        What adds a message.

    Raises:
        OperatorError: the file exists, or cannot be written.
    """
    count = 0
    try:
        if path.exists():
            raise OperatorError(f"{path} exists", "name a new file")
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
        try:
            with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 (a descriptor)
                head = {"format": form, "version": VERSION, "when": datetime.now(UTC).isoformat()}
                file.write(f"{json.dumps(head)}\n")

                def add(message: Exported) -> None:
                    nonlocal count
                    file.write(f"{message.line()}\n")
                    count += 1

                yield add
                file.write(f"{json.dumps({'messages': count})}\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(name, path)  # unlike a rename it never replaces a file that has come meanwhile
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        finally:
            with suppress(OSError):
                Path(name).unlink()
    except OSError as error:
        what = f"{path} cannot be written ({error.strerror or type(error).__name__})"
        raise OperatorError(what, "name a file in a folder of yours, with space") from error


def _object(text: bytes, number: int) -> dict[str, Any]:
    try:
        fields = json.loads(text.decode())
    except (ValueError, RecursionError):
        raise NoExport(f"line {number} is no JSON") from None
    if not isinstance(fields, dict):
        raise NoExport(f"line {number} is no JSON object")
    return fields


def _message(fields: Mapping[str, Any], number: int) -> Exported:
    try:
        text = fields.get("text")
        body = text.encode() if text is not None else base64.b64decode(fields["base64"], validate=True)
        properties, headers = _decode(fields["properties"]), _decode(fields["headers"])
        message = Exported(fields["routing_key"], body, properties, headers)
        message.amqp().marshal()
        if not set(properties) <= set(PROPERTIES) or not isinstance(message.routing_key, str):
            raise ValueError
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError):
        raise NoExport(f"line {number} is no message") from None
    return message


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
