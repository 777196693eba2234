"""The items of A-ASSOCIATE PDUs: their types, and the header that each has (PS3.8 9.3.2, PS3.7 D.3)."""

import struct
from enum import IntEnum
from typing import Final

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


def encode_item(item_type: ItemType, content: bytes) -> bytes:
    """Encode an item or sub-item."""
    return ITEM_HEADER.pack(item_type, len(content)) + content
