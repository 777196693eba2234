"""Encodes the command sets that answer requests (PS3.7 section 9.3 and annex E). Pure."""

import struct
from collections.abc import Sequence
from functools import lru_cache

from lapidicom.receiver.dimse.command import (
    AFFECTED_SOP_CLASS_UID,
    AFFECTED_SOP_INSTANCE_UID,
    COMMAND_DATA_SET_TYPE,
    COMMAND_FIELD,
    MESSAGE_ID_BEING_RESPONDED_TO,
    NO_DATA_SET,
    RESPONSE,
    Command,
    CommandField,
)

_MOST_COMMENT = 64  # characters of an LO (PS3.5 6.2)

_US_ELEMENT = struct.Struct("<IIH").pack
_HEADER = struct.Struct("<II").pack
_SHORT = struct.Struct("<H").pack
_LONG = struct.Struct("<I").pack
_STATUS = 0x0900_0000
_OFFENDING_ELEMENT = 0x0901_0000
_ERROR_COMMENT = 0x0902_0000

_GROUP_LENGTH_HEADER = _HEADER(0, 4)
_NO_DATA_SET_ELEMENT = _US_ELEMENT(COMMAND_DATA_SET_TYPE, 2, NO_DATA_SET)
_SUCCESS_TAIL = (
    _NO_DATA_SET_ELEMENT + _US_ELEMENT(_STATUS, 2, 0) + struct.pack("<I", AFFECTED_SOP_INSTANCE_UID)
)


def encode_c_store_response(
    command: Command, status: int, comment: str = "", offending: Sequence[int] = ()
) -> bytes:
    """Encode the C-STORE-RSP to a request (PS3.7 9.3.1.2).

    Args:
        command: the C-STORE-RQ.
        status: Status (0000,0900).
        comment: Error Comment (0000,0902): cut after 64 characters; what is not printable ASCII becomes `?`.
        offending: tags as 0xGGGGEEEE for Offending Element (0000,0901).
    """
    uid = command.affected_sop_instance_uid.encode("latin-1")
    size = len(uid)
    if size & 1:
        uid += b"\0"
        size += 1
    prefix = _response_prefix(command.affected_sop_class_uid, CommandField.C_STORE_RSP)
    if not status:
        return b"".join(
            (
                _GROUP_LENGTH_HEADER,
                _LONG(len(prefix) + size + 30),
                prefix,
                _SHORT(command.message_id),
                _SUCCESS_TAIL,
                _LONG(size),
                uid,
            )
        )
    tail = _failure(status, comment, offending)
    if uid:
        tail += _HEADER(AFFECTED_SOP_INSTANCE_UID, size) + uid
    return _with_group_length(prefix + _SHORT(command.message_id) + tail)


def encode_response(command: Command, status: int, comment: str = "", offending: Sequence[int] = ()) -> bytes:
    """Encode the response to any request: its Command Field with bit 15 set, no data set, this status.

    Args:
        command: a request that expects a response.
        status: Status (0000,0900).
        comment: Error Comment, as in `encode_c_store_response`.
        offending: Offending Element, likewise.

    Raises:
        ValueError: the command is a response or a C-CANCEL-RQ, which get no answer.
    """
    if not command.expects_response:
        raise ValueError(f"command 0x{command.command_field:04X} gets no response")
    sop_class_uid = command.affected_sop_class_uid or command.requested_sop_class_uid
    prefix = _response_prefix(sop_class_uid, command.command_field | RESPONSE)
    return _with_group_length(prefix + _SHORT(command.message_id) + _failure(status, comment, offending))


@lru_cache(maxsize=256)
def _response_prefix(sop_class_uid: str, command_field: int) -> bytes:
    """Encode all of a response that stands before the value of Message ID Being Responded To."""
    uid = sop_class_uid.encode("latin-1")
    uid += b"\0" * (len(uid) & 1)
    sop_class = _HEADER(AFFECTED_SOP_CLASS_UID, len(uid)) + uid if uid else b""
    return (
        sop_class + _US_ELEMENT(COMMAND_FIELD, 2, command_field) + _HEADER(MESSAGE_ID_BEING_RESPONDED_TO, 2)
    )


def _failure(status: int, comment: str, offending: Sequence[int]) -> bytes:
    parts = [_NO_DATA_SET_ELEMENT, _US_ELEMENT(_STATUS, 2, status)]
    if offending:
        # AT: group, then element, each little endian (PS3.5 6.2)
        values = b"".join(_SHORT(tag >> 16) + _SHORT(tag & 0xFFFF) for tag in offending)
        parts += (_HEADER(_OFFENDING_ELEMENT, len(values)), values)
    if comment:
        text = "".join(c if " " <= c <= "~" and c != "\\" else "?" for c in comment[:_MOST_COMMENT])
        text += " " * (len(text) & 1)
        parts += (_HEADER(_ERROR_COMMENT, len(text)), text.encode("ascii"))
    return b"".join(parts)


def _with_group_length(elements: bytes) -> bytes:
    return _GROUP_LENGTH_HEADER + _LONG(len(elements)) + elements
