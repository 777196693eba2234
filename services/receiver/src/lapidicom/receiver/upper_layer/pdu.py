"""PDUs and their items: the types, and the short PDUs encoded and decoded (PS3.8 section 9.3). Pure.

A-ASSOCIATE-RQ and -AC have a module of their own. P-DATA-TF is read elsewhere (it is the hot path);
here is only its header for what the SCP sends.
"""

import struct
from enum import IntEnum
from typing import Final


class PDUType(IntEnum):
    """The first byte of a PDU (PS3.8 table 9-1 and following)."""

    A_ASSOCIATE_RQ = 0x01
    A_ASSOCIATE_AC = 0x02
    A_ASSOCIATE_RJ = 0x03
    P_DATA_TF = 0x04
    A_RELEASE_RQ = 0x05
    A_RELEASE_RP = 0x06
    A_ABORT = 0x07


ITEM_HEADER: Final = struct.Struct(">BxH")
"""Item type, a reserved byte, and the length of what follows."""


class ItemType(IntEnum):
    """The types that decide something here; all others are ignored (PS3.8 annex D.2)."""

    APPLICATION_CONTEXT = 0x10
    PRESENTATION_CONTEXT_RQ = 0x20
    PRESENTATION_CONTEXT_AC = 0x21
    ABSTRACT_SYNTAX = 0x30
    TRANSFER_SYNTAX = 0x40
    USER_INFORMATION = 0x50
    MAXIMUM_LENGTH = 0x51
    IMPLEMENTATION_CLASS_UID = 0x52
    ROLE_SELECTION = 0x54
    IMPLEMENTATION_VERSION_NAME = 0x55
    COMMON_EXTENDED_NEGOTIATION = 0x57


ABORT_SOURCE_SERVICE_USER: Final = 0
ABORT_SOURCE_SERVICE_PROVIDER: Final = 2


class AbortReason(IntEnum):
    """Reason/Diag of an A-ABORT by the service provider (PS3.8 table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PDU_PARAMETER = 4
    UNEXPECTED_PDU_PARAMETER = 5
    INVALID_PDU_PARAMETER_VALUE = 6


class PDUError(Exception):
    """The peer's PDU cannot be understood: the association ends with A-ABORT (source, reason).

    Args:
        detail: what is wrong, for the log; never a value other than a length, a number or an item type.
        reason: Reason/Diag of the A-ABORT (PS3.8 table 9-26).
    """

    source: Final = ABORT_SOURCE_SERVICE_PROVIDER

    def __init__(self, detail: str, reason: AbortReason = AbortReason.INVALID_PDU_PARAMETER_VALUE) -> None:
        super().__init__(detail)
        self.reason = reason


_DATA_HEADER = struct.Struct(">BxIIBB")
_FOUR_BYTES = struct.Struct(">BxI4B")


def encode_item(item_type: ItemType, content: bytes) -> bytes:
    """Encode an item or sub-item."""
    return ITEM_HEADER.pack(item_type, len(content)) + content


def encode_associate_reject(result: int, source: int, reason: int) -> bytes:
    """Encode an A-ASSOCIATE-RJ (PS3.8 9.3.4, table 9-21).

    Args:
        result: 1 = permanent, 2 = transient.
        source: 1 = service user, 2 = service provider (ACSE), 3 = service provider (presentation).
        reason: its meaning depends on the source.
    """
    return _FOUR_BYTES.pack(PDUType.A_ASSOCIATE_RJ, 4, 0, result, source, reason)


def encode_release_response() -> bytes:
    """Encode an A-RELEASE-RP (PS3.8 9.3.7)."""
    return _FOUR_BYTES.pack(PDUType.A_RELEASE_RP, 4, 0, 0, 0, 0)


def encode_abort(source: int, reason: int) -> bytes:
    """Encode an A-ABORT (PS3.8 9.3.8).

    Args:
        source: 0 = service user (the reason is then not significant), 2 = service provider.
        reason: one of `AbortReason`.
    """
    return _FOUR_BYTES.pack(PDUType.A_ABORT, 4, 0, 0, source, reason)


def decode_abort(body: bytes) -> tuple[int, int]:
    """Give source and reason of an A-ABORT; a malformed one is an abort all the same, as (0, 0).

    Args:
        body: the PDU without its 6-byte header.
    """
    return (body[2], body[3]) if len(body) >= 4 else (0, 0)


def encode_command_data(context_id: int, command: bytes, max_pdu_length: int = 0) -> bytes:
    """Encode a whole command set as P-DATA-TF, one PDV in each PDU (PS3.8 9.3.5, annex E.2).

    Args:
        context_id: of the presentation context.
        command: the encoded command set.
        max_pdu_length: what the peer takes; 0 = unlimited. Less than 8 bytes of it cannot hold a byte of data
            and a fragment is sent in spite of it.
    """
    size = len(command)
    if not max_pdu_length or size + 6 <= max_pdu_length:
        return _DATA_HEADER.pack(PDUType.P_DATA_TF, size + 6, size + 2, context_id, 0x03) + command
    step = max(max_pdu_length - 6, 2) & ~1  # fragments are of even length
    parts: list[bytes] = []
    for offset in range(0, size, step):
        fragment = command[offset : offset + step]
        control = 0x03 if offset + step >= size else 0x01
        length = len(fragment)
        parts.append(_DATA_HEADER.pack(PDUType.P_DATA_TF, length + 6, length + 2, context_id, control))
        parts.append(fragment)
    return b"".join(parts)
