"""How elements are coded: byte orders, VRs and the tags that delimit sequences (PS3.5 section 7)."""

from struct import Struct
from typing import Final, Literal

from lapidicom.common.instance.tags import WANTED

Buffer = memoryview | bytes
ByteOrder = Literal["little", "big"]

SHORT_VRS: Final = frozenset(
    {"AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST"}
    | {"TM", "UI", "UL", "US"}
)
"""VRs with a 16-bit length in explicit VR (PS3.5 table 7.1-2); all others, future ones too, have 32 bits."""

NO_VRS: Final = frozenset({"??", "--"})
"""What some writers put for a VR that they do not know, with a 16-bit length (dcmtk reads it so, too).

As the lower half of the length of an element in implicit VR these would be odd, and no length is odd.
"""

LONG_VRS: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
"""The known VRs with a 32-bit length (PS3.5 table 7.1-1)."""

UNDEFINED: Final = 0xFFFF_FFFF
ITEM: Final = 0xFFFE_E000
ITEM_END: Final = 0xFFFE_E00D
SEQUENCE_END: Final = 0xFFFE_E0DD
HEADER: Final = 8
LONG_HEADER: Final = 12


class Coding:
    """How numbers and VRs look in one byte order."""

    def __init__(self, order: ByteOrder) -> None:
        sign = "<" if order == "little" else ">"
        self.explicit = Struct(f"{sign}HHHH").unpack_from
        self.implicit = Struct(f"{sign}HHI").unpack_from
        self.length = Struct(f"{sign}I").unpack_from
        self.hop = Struct(f"{sign}IHH").unpack_from
        self.implicit_hop = Struct(f"{sign}II").unpack_from
        # Tags as these read them: not ascending in little endian, but at a third of the cost.
        self.wanted = frozenset(tag if order == "big" else tag >> 16 | (tag & 0xFFFF) << 16 for tag in WANTED)
        self.short = frozenset(int.from_bytes(vr.encode(), order) for vr in SHORT_VRS | NO_VRS)
        self.long = frozenset(int.from_bytes(vr.encode(), order) for vr in LONG_VRS)
        self.known = self.short | self.long
        self.un = int.from_bytes(b"UN", order)


CODINGS: Final = (Coding("little"), Coding("big"))


def is_vr(vr: int) -> bool:
    """Whether two bytes (in any order) are upper-case letters, as in every VR, known or not."""
    return 0x41 <= vr >> 8 <= 0x5A and 0x41 <= vr & 0xFF <= 0x5A
