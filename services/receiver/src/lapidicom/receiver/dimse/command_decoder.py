"""Decodes the command sets of one association, most of which differ from others in two values only. Pure."""

from struct import Struct
from typing import Final

from lapidicom.receiver.dimse.command import (
    AFFECTED_SOP_INSTANCE_UID,
    MESSAGE_ID,
    Command,
    CommandField,
    decode_command,
    places_of_values,
    text_of,
)

_MOST_LAYOUTS: Final = 16
"""One for each length of a SOP Instance UID is enough."""


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
            command = decode_command(data)
            if command.command_field == CommandField.C_STORE_RQ:
                self._learn(data, command)
        return command

    def _learn(self, data: bytes, command: Command) -> None:
        places = places_of_values(data)
        message_id, uid = places.get(MESSAGE_ID), places.get(AFFECTED_SOP_INSTANCE_UID)
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
        self._unpack = Struct(form).unpack
        self._before, _, self._between, _, self._after = self._unpack(data)
        self._same = (command.command_field, command.affected_sop_class_uid, command[4:])

    def lift(self, data: bytes) -> Command | None:
        """The command in data of the same length; None if it is another one."""
        before, message_id, between, uid, after = self._unpack(data)
        if before != self._before or between != self._between or after != self._after:
            return None
        field, sop_class, others = self._same
        return Command._make((field, message_id, sop_class, text_of(uid), *others))
