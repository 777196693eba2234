"""The frames of a published message (AMQP 0-9-1, sections 2.3.5 and 4.2). Pure.

pamqp encodes any method and any property; all that we publish has the same few, in a form that takes
a fifth of the time. Its headers' table is pamqp's.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from pamqp import encode

from lapidicom.common.headers import Header

_METHOD, _HEADER, _BODY = 1, 2, 3
_END: Final = b"\xce"

_frame_head = struct.Struct(">BHI").pack
_content_head = struct.Struct(">HHQH").pack
_timestamp = struct.Struct(">Q").pack

_BASIC, _PUBLISH = 60, 40
_MANDATORY: Final = b"\x01"
_PERSISTENT: Final = b"\x02"
_PROPERTIES: Final = 1 << 15 | 1 << 13 | 1 << 12 | 1 << 7 | 1 << 6 | 1 << 5 | 1 << 3
"""Content type, headers, delivery mode, message id, timestamp, type, app id: in this order."""


@dataclass(frozen=True, slots=True)
class Properties:
    """What stands in the content header of a message.

    Attributes:
        timestamp: seconds since 1970.
        headers: a table.
    """

    content_type: str
    headers: Mapping[str, Header]
    message_id: str
    timestamp: int
    type: str
    app_id: str


def publish_frames(
    channel: int, exchange: str, routing_key: str, properties: Properties, body: bytes, most: int
) -> bytes:
    """Encode a persistent, mandatory Basic.Publish with its content.

    Args:
        channel: number of the channel.
        exchange: its name.
        routing_key: of the message.
        properties: of the message.
        body: of the message.
        most: bytes of content that one frame may hold, as negotiated.

    Raises:
        ValueError: a text is longer than 255 bytes.
    """
    headers: Any = properties.headers  # pamqp names a union that is larger than ours
    header = b"".join(
        (
            _content_head(_BASIC, 0, len(body), _PROPERTIES),
            _short(properties.content_type),
            encode.field_table(headers),
            _PERSISTENT,
            _short_string(properties.message_id),
            _timestamp(properties.timestamp),
            _short(properties.type),
            _short(properties.app_id),
        )
    )
    return b"".join(
        (
            _method(channel, exchange, routing_key),
            _frame(_HEADER, channel, header),
            *(_frame(_BODY, channel, piece) for piece in _pieces(body, most)),
        )
    )


@lru_cache(maxsize=64)
def _method(channel: int, exchange: str, routing_key: str) -> bytes:
    arguments = b"\0\0" + _short(exchange) + _short(routing_key) + _MANDATORY
    return _frame(_METHOD, channel, struct.pack(">HH", _BASIC, _PUBLISH) + arguments)


@lru_cache(maxsize=64)
def _short(text: str) -> bytes:
    """The short string of a text that occurs again and again."""
    return _short_string(text)


def _short_string(text: str) -> bytes:
    encoded = text.encode()
    return bytes((len(encoded),)) + encoded


def _frame(kind: int, channel: int, payload: bytes) -> bytes:
    return b"%b%b%b" % (_frame_head(kind, channel, len(payload)), payload, _END)


def _pieces(body: bytes, most: int) -> Iterator[bytes]:
    return (body[start : start + most] for start in range(0, len(body), most))
