"""Exports: JSON lines, one per message, with all that AMQP carries.

The first line says what it is, the last one how many lines stand between: a cut file is noticed. In a line
`amqp` holds properties and headers as they travel (a content header frame, AMQP 0-9-1 section 2.3.5.2, in
base64), so that each keeps its type; the headers stand beside it for people, and the body as text where it
is text. Real numbers in headers are published with single precision: the client library knows no other.
"""

import base64
import copy
import json
import os
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pamqp.commands import Basic
from pamqp.header import ContentHeader

from lapidicom.cli.errors import OperatorError

FORMAT: Final = "lapidicom dead letters"
OF_QUEUE: Final = "lapidicom messages of {}"
"""Format of an export of another queue, which must not become dead letters."""

VERSION: Final = 2

OF_DELIVERIES: Final = frozenset({"x-delivery-count", "x-acquired-count"})
"""Headers that RabbitMQ adds to each delivery; they are no part of the message."""


class NoExport(Exception):
    """The file is no export of ours, or not a whole one; the text says where."""


@dataclass(frozen=True, slots=True)
class Exported:
    """One message as it stands in an export: with all properties and headers, the broker's included."""

    routing_key: str
    body: bytes = field(repr=False)
    properties: Basic.Properties = field(repr=False)

    @classmethod
    def of(cls, routing_key: str, body: bytes, properties: Basic.Properties) -> "Exported":
        """Take a message as it came."""
        kept, headers = copy.copy(properties), properties.headers or {}
        kept.headers = {name: headers[name] for name in headers if name not in OF_DELIVERIES}
        return cls(routing_key, body, kept)

    def line(self) -> str:
        """As a line; a body that is text stays one, so that an operator may read it."""
        frame = ContentHeader(0, len(self.body), self.properties).marshal()
        fields = {"routing_key": self.routing_key, "headers": self.properties.headers, "amqp": _base64(frame)}
        try:
            fields["text"] = self.body.decode()
        except UnicodeDecodeError:
            fields["base64"] = _base64(self.body)
        return json.dumps(fields, ensure_ascii=False, default=str)


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
    """Write an export, mode 0600; it is durable when the block has ended well, and removed when it has not.

    Args:
        path: of a file that does not exist.
        form: FORMAT, or OF_QUEUE with the name of another queue.

    Raises:
        OperatorError: the file exists, or cannot be written.
    """
    count = 0
    try:
        with open(path, "x", encoding="utf-8", opener=_private) as file, ExitStack() as undo:
            undo.callback(path.unlink)

            def add(message: Exported) -> None:
                nonlocal count
                file.write(f"{message.line()}\n")
                count += 1

            head = {"format": form, "version": VERSION, "when": datetime.now(UTC).isoformat()}
            file.write(f"{json.dumps(head)}\n")
            yield add
            file.write(f"{json.dumps({'messages': count})}\n")
            file.flush()
            os.fsync(file.fileno())
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
            undo.pop_all()
    except FileExistsError:
        raise OperatorError(f"{path} exists", "name a new file") from None
    except OSError as error:
        what = f"{path} cannot be written ({error.strerror or type(error).__name__})"
        raise OperatorError(what, "name a file in a folder of yours, with space") from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


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
        text, header = fields.get("text"), ContentHeader()
        body = text.encode() if text is not None else base64.b64decode(fields["base64"], validate=True)
        header.unmarshal(base64.b64decode(fields["amqp"], validate=True))
        return Exported(str(fields["routing_key"]), body, header.properties)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, struct.error):
        raise NoExport(f"line {number} is no message") from None


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
