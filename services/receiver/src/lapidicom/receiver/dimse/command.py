"""Encode and decode command sets (PS3.7 section 6.3 and annex E): implicit VR little endian, group 0000.

Decoding is lenient where PS3.7 leaves no doubt about the meaning: elements in any order, unknown elements,
a wrong or absent group length. What is cut off or contradictory is a CommandError.
"""

import struct
from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache
from typing import Final, NamedTuple


class CommandField(IntEnum):
    """Command Field (0000,0100) of the requests and responses that an SCP names (PS3.7 table E.1-1)."""

    C_STORE_RQ = 0x0001
    C_STORE_RSP = 0x8001
    C_GET_RQ = 0x0010
    C_FIND_RQ = 0x0020
    C_MOVE_RQ = 0x0021
    C_ECHO_RQ = 0x0030
    C_ECHO_RSP = 0x8030
    N_EVENT_REPORT_RQ = 0x0100
    N_GET_RQ = 0x0110
    N_SET_RQ = 0x0120
    N_ACTION_RQ = 0x0130
    N_CREATE_RQ = 0x0140
    N_DELETE_RQ = 0x0150
    C_CANCEL_RQ = 0x0FFF


NO_DATA_SET: Final = 0x0101
"""Command Data Set Type (0000,0800) of a command without a data set; any other value announces one."""

MOST_COMMAND_BYTES: Final = 16_384
"""Longest command set that is decoded: real ones take some 300 bytes."""

_RESPONSE = 0x8000
_MOST_COMMENT = 64  # characters of an LO (PS3.5 6.2)


class CommandError(Exception):
    """A command set cannot be understood. Its text names tags and lengths, never values."""


class Command(NamedTuple):  # the hot path makes one per instance: a frozen dataclass takes five times as long
    """A command set as received (PS3.7 tables E.1-1 and E.2-1); texts are empty where an element is absent.

    UIDs are without the NULs and blanks around them, decoded as Latin-1: whoever uses one checks it.

    Attributes:
        command_field: Command Field (0000,0100); a response has bit 15 set.
        message_id: Message ID (0000,0110); in a response or C-CANCEL-RQ the Message ID Being Responded To
            (0000,0120).
        affected_sop_class_uid: (0000,0002).
        affected_sop_instance_uid: (0000,1000).
        data_set_type: (0000,0800).
        priority: (0000,0700); 0 = medium.
        requested_sop_class_uid: (0000,0003), of N-GET, N-SET, N-ACTION and N-DELETE.
        requested_sop_instance_uid: (0000,1001), likewise.
        move_originator_ae_title: (0000,1030), when a C-MOVE causes the C-STORE.
        move_originator_message_id: (0000,1031), likewise; 0 where absent.
    """

    command_field: int
    message_id: int
    affected_sop_class_uid: str
    affected_sop_instance_uid: str
    data_set_type: int
    priority: int
    requested_sop_class_uid: str
    requested_sop_instance_uid: str
    move_originator_ae_title: str
    move_originator_message_id: int

    @property
    def has_data_set(self) -> bool:
        """Whether a data set follows in the same presentation context."""
        return self.data_set_type != NO_DATA_SET

    @property
    def is_response(self) -> bool:
        """Whether it is an answer, to which there is no answer."""
        return bool(self.command_field & _RESPONSE)

    @property
    def expects_response(self) -> bool:
        """Whether the peer waits for an answer: to a request, but not to C-CANCEL-RQ (PS3.7 9.3.2.3)."""
        return not self.is_response and self.command_field != CommandField.C_CANCEL_RQ


# A tag as the 32-bit little-endian number of its four bytes: the element number is the upper half
_AFFECTED_SOP_CLASS_UID = 0x0002_0000
_REQUESTED_SOP_CLASS_UID = 0x0003_0000
_COMMAND_FIELD = 0x0100_0000
MESSAGE_ID = 0x0110_0000
_MESSAGE_ID_BEING_RESPONDED_TO = 0x0120_0000
_PRIORITY = 0x0700_0000
_COMMAND_DATA_SET_TYPE = 0x0800_0000
AFFECTED_SOP_INSTANCE_UID = 0x1000_0000
_REQUESTED_SOP_INSTANCE_UID = 0x1001_0000
_MOVE_ORIGINATOR_AE_TITLE = 0x1030_0000
_MOVE_ORIGINATOR_MESSAGE_ID = 0x1031_0000

_ELEMENT_HEADER = struct.Struct("<II")
_unpack_header = _ELEMENT_HEADER.unpack_from


def places_of_values(data: bytes) -> dict[int, slice]:
    """Where the value of each element lies, by tag as the constants here; of equal tags the last counts.

    Raises:
        CommandError: the lengths contradict one another, or exceed the limit.
    """
    end = len(data)
    if end > MOST_COMMAND_BYTES:
        raise CommandError(f"command set of {end} bytes")
    places: dict[int, slice] = {}
    offset = 0
    try:
        while offset < end:
            tag, length = _unpack_header(data, offset)
            start = offset + 8
            offset = start + length
            places[tag] = slice(start, offset)
    except struct.error:
        raise CommandError(f"an element header is cut off, {end - offset} bytes before the end") from None
    if offset != end:
        raise CommandError(f"the last element ends {offset - end} bytes behind the command set")
    return places


def decode_command(data: bytes) -> Command:
    """Decode a command set.

    Args:
        data: all its fragments, put together.

    Raises:
        CommandError: whatever is wrong with it.
    """
    values = {tag: data[place] for tag, place in places_of_values(data).items()}
    get = values.get
    command_field = _us(get(_COMMAND_FIELD), "Command Field (0000,0100)")
    message_id = get(MESSAGE_ID)
    if message_id is None or command_field & _RESPONSE or command_field == CommandField.C_CANCEL_RQ:
        message_id = get(_MESSAGE_ID_BEING_RESPONDED_TO, message_id)
    priority = get(_PRIORITY)
    requested_class = get(_REQUESTED_SOP_CLASS_UID)
    requested_instance = get(_REQUESTED_SOP_INSTANCE_UID)
    originator = get(_MOVE_ORIGINATOR_AE_TITLE)
    originator_id = get(_MOVE_ORIGINATOR_MESSAGE_ID)
    return Command(
        command_field,
        _us(message_id, "Message ID (0000,0110)"),
        text_of(get(_AFFECTED_SOP_CLASS_UID, b"")),
        text_of(get(AFFECTED_SOP_INSTANCE_UID, b"")),
        _us(get(_COMMAND_DATA_SET_TYPE), "Command Data Set Type (0000,0800)"),
        _us(priority, "Priority (0000,0700)") if priority else 0,
        text_of(requested_class) if requested_class else "",
        text_of(requested_instance) if requested_instance else "",
        text_of(originator) if originator else "",
        _us(originator_id, "Move Originator Message ID (0000,1031)") if originator_id else 0,
    )


def _us(value: bytes | None, element: str) -> int:
    if value is None:
        raise CommandError(f"{element} is absent")
    if len(value) != 2:
        raise CommandError(f"{element} has {len(value)} bytes")
    return value[0] | value[1] << 8


def text_of(value: bytes) -> str:
    """The text of a UID or an AE title, without the NULs and blanks around it."""
    return value.strip(b"\0 ").decode("latin-1")


_US_ELEMENT = struct.Struct("<IIH").pack
_HEADER = _ELEMENT_HEADER.pack
_SHORT = struct.Struct("<H").pack
_LONG = struct.Struct("<I").pack
_STATUS = 0x0900_0000
_OFFENDING_ELEMENT = 0x0901_0000
_ERROR_COMMENT = 0x0902_0000

_GROUP_LENGTH_HEADER = _HEADER(0, 4)
_NO_DATA_SET_ELEMENT = _US_ELEMENT(_COMMAND_DATA_SET_TYPE, 2, NO_DATA_SET)
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


def encode_c_echo_response(command: Command, status: int = 0, comment: str = "") -> bytes:
    """Encode the C-ECHO-RSP to a request (PS3.7 9.3.5.2)."""
    return encode_response(command, status, comment)


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
    prefix = _response_prefix(sop_class_uid, command.command_field | _RESPONSE)
    return _with_group_length(prefix + _SHORT(command.message_id) + _failure(status, comment, offending))


@lru_cache(maxsize=256)
def _response_prefix(sop_class_uid: str, command_field: int) -> bytes:
    """Encode all of a response that stands before the value of Message ID Being Responded To."""
    uid = sop_class_uid.encode("latin-1")
    uid += b"\0" * (len(uid) & 1)
    sop_class = _HEADER(_AFFECTED_SOP_CLASS_UID, len(uid)) + uid if uid else b""
    return (
        sop_class + _US_ELEMENT(_COMMAND_FIELD, 2, command_field) + _HEADER(_MESSAGE_ID_BEING_RESPONDED_TO, 2)
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
