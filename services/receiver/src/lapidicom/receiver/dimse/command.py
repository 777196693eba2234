"""Decodes the command sets of one association (PS3.7 section 6.3, annex E): implicit VR little endian. Pure.

Lenient where PS3.7 leaves no doubt about the meaning: elements in any order, unknown elements, a wrong or
absent group length. What is cut off or contradictory is a CommandError. Most command sets differ from others
in two values only, and are decoded by a glance.
"""

import struct
from enum import IntEnum
from typing import Final, NamedTuple


class CommandField(IntEnum):
    """Command Field (0000,0100) of the messages that this SCP names (PS3.7 table E.1-1)."""

    C_STORE_RQ = 0x0001
    C_STORE_RSP = 0x8001
    C_ECHO_RQ = 0x0030
    C_ECHO_RSP = 0x8030
    C_CANCEL_RQ = 0x0FFF


NO_DATA_SET: Final = 0x0101
"""Command Data Set Type (0000,0800) of a command without a data set; any other value announces one."""

MOST_COMMAND_BYTES: Final = 16_384
"""Longest command set that is decoded: real ones take some 300 bytes."""

RESPONSE: Final = 0x8000
"""The bit of Command Field that makes a request's number that of its response."""

_MOST_LAYOUTS: Final = 16
"""One for each length of a SOP Instance UID is enough."""


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
        requested_sop_class_uid: (0000,0003), of N-GET, N-SET, N-ACTION and N-DELETE.
    """

    command_field: int
    message_id: int
    affected_sop_class_uid: str
    affected_sop_instance_uid: str
    data_set_type: int
    requested_sop_class_uid: str

    @property
    def has_data_set(self) -> bool:
        """Whether a data set follows in the same presentation context."""
        return self.data_set_type != NO_DATA_SET

    @property
    def is_response(self) -> bool:
        """Whether it is an answer, to which there is no answer."""
        return bool(self.command_field & RESPONSE)

    @property
    def expects_response(self) -> bool:
        """Whether the peer waits for an answer: to a request, but not to C-CANCEL-RQ (PS3.7 9.3.2.3)."""
        return not self.is_response and self.command_field != CommandField.C_CANCEL_RQ


# A tag as the 32-bit little-endian number of its four bytes: the element number is the upper half
AFFECTED_SOP_CLASS_UID: Final = 0x0002_0000
_REQUESTED_SOP_CLASS_UID = 0x0003_0000
COMMAND_FIELD: Final = 0x0100_0000
_MESSAGE_ID = 0x0110_0000
MESSAGE_ID_BEING_RESPONDED_TO: Final = 0x0120_0000
COMMAND_DATA_SET_TYPE: Final = 0x0800_0000
AFFECTED_SOP_INSTANCE_UID: Final = 0x1000_0000

_unpack_header = struct.Struct("<II").unpack_from


class CommandDecoder:
    """Decodes as `decode_command` does, but a C-STORE-RQ like the last one of its length by a glance.

    If all bytes but those of Message ID and Affected SOP Instance UID are equal, all headers are, so the
    whole would be decoded to the same but for these two.
    """

    def __init__(self) -> None:
        self._layouts: dict[int, _Layout] = {}

    def decode(self, data: bytes) -> Command:
        """Decode a command set.

        Raises:
            CommandError: whatever is wrong with it.
        """
        layout = self._layouts.get(len(data))
        command = layout.lift(data) if layout is not None else None
        if command is None:
            values = _values(data)
            command = _command(data, values)
            if command.command_field == CommandField.C_STORE_RQ:
                self._learn(data, command, values)
        return command

    def _learn(self, data: bytes, command: Command, values: dict[int, slice]) -> None:
        message_id, uid = values.get(_MESSAGE_ID), values.get(AFFECTED_SOP_INSTANCE_UID)
        if message_id is None or uid is None:
            return
        if message_id.stop <= uid.start:  # the order of PS3.7 6.3.1: ascending tags
            if len(self._layouts) >= _MOST_LAYOUTS:
                self._layouts.clear()
            self._layouts[len(data)] = _Layout(data, command, message_id, uid)


class _Layout:
    """A C-STORE-RQ, and where its two values lie that change."""

    __slots__ = ("_after", "_before", "_between", "_same", "_unpack")

    def __init__(self, data: bytes, command: Command, message_id: slice, uid: slice) -> None:
        between, after = uid.start - message_id.stop, len(data) - uid.stop
        form = f"<{message_id.start}sH{between}s{uid.stop - uid.start}s{after}s"
        self._unpack = struct.Struct(form).unpack
        self._before, _, self._between, _, self._after = self._unpack(data)
        self._same = (command.command_field, command.affected_sop_class_uid, command[4:])

    def lift(self, data: bytes) -> Command | None:
        """The command in data of the same length; None if it is another one."""
        before, message_id, between, uid, after = self._unpack(data)
        if before != self._before or between != self._between or after != self._after:
            return None
        field, sop_class, others = self._same
        return Command._make((field, message_id, sop_class, _text(uid), *others))


def decode_command(data: bytes) -> Command:
    """Decode a command set.

    Args:
        data: all its fragments, put together.

    Raises:
        CommandError: whatever is wrong with it.
    """
    return _command(data, _values(data))


def _values(data: bytes) -> dict[int, slice]:
    """Where the value of each element lies, by tag; of equal tags the last counts."""
    end = len(data)
    if end > MOST_COMMAND_BYTES:
        raise CommandError(f"command set of {end} bytes")
    values: dict[int, slice] = {}
    offset = 0
    try:
        while offset < end:
            tag, length = _unpack_header(data, offset)
            start = offset + 8
            offset = start + length
            values[tag] = slice(start, offset)
    except struct.error:
        raise CommandError(f"an element header is cut off, {end - offset} bytes before the end") from None
    if offset != end:
        raise CommandError(f"the last element ends {offset - end} bytes behind the command set")
    return values


def _command(data: bytes, values: dict[int, slice]) -> Command:
    def get(tag: int) -> bytes | None:
        value = values.get(tag)
        return None if value is None else data[value]

    command_field = _us(get(COMMAND_FIELD), "Command Field (0000,0100)")
    message_id = get(_MESSAGE_ID)
    if message_id is None or command_field & RESPONSE or command_field == CommandField.C_CANCEL_RQ:
        responded_to = get(MESSAGE_ID_BEING_RESPONDED_TO)
        message_id = message_id if responded_to is None else responded_to
    return Command(
        command_field,
        _us(message_id, "Message ID (0000,0110)"),
        _text(get(AFFECTED_SOP_CLASS_UID)),
        _text(get(AFFECTED_SOP_INSTANCE_UID)),
        _us(get(COMMAND_DATA_SET_TYPE), "Command Data Set Type (0000,0800)"),
        _text(get(_REQUESTED_SOP_CLASS_UID)),
    )


def _us(value: bytes | None, element: str) -> int:
    if value is None:
        raise CommandError(f"{element} is absent")
    if len(value) != 2:
        raise CommandError(f"{element} has {len(value)} bytes")
    return value[0] | value[1] << 8


def _text(value: bytes | None) -> str:
    """The text of a UID, without the NULs and blanks around it."""
    return value.strip(b"\0 ").decode("latin-1") if value else ""
