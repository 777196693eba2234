"""The rest of a data set whose structure cannot be followed: may a wanted element be in it?

A wanted element cannot be there without the four bytes of its tag. So a rest in which none of them occur,
such as Pixel Data with fragments of wrong lengths, hides nothing from us.
"""

import re
from struct import Struct

from lapidicom.common.instance.coding import ByteOrder
from lapidicom.common.instance.errors import HeaderError
from lapidicom.common.instance.tags import WANTED, tag_name

_KEPT = 3  # bytes of a tag that may stand at the end of a piece


def _pattern(order: ByteOrder) -> re.Pattern[bytes]:
    pack = Struct("<HH" if order == "little" else ">HH").pack
    return re.compile(b"|".join(re.escape(pack(tag >> 16, tag & 0xFFFF)) for tag in WANTED))


_PATTERNS = {"little": _pattern("little"), "big": _pattern("big")}


class UnreadableRest:
    """Looks for the tags of wanted elements in what follows an element that cannot be read.

    Args:
        order: byte order of the data set.
        tag: of the last element at the top level that could be read.
    """

    def __init__(self, order: ByteOrder, tag: int) -> None:
        self._search = _PATTERNS[order].search
        self._tag = tag
        self._end = b""

    def feed(self, data: memoryview | bytes) -> None:
        """Look at the next bytes.

        Raises:
            HeaderError: the tag of a wanted element occurs.
        """
        joint = self._end + bytes(data[:_KEPT])
        if self._search(joint) or self._search(data):
            raise HeaderError(f"elements behind {tag_name(self._tag)} cannot be read", self._tag)
        self._end = bytes(data[-_KEPT:]) if len(data) >= _KEPT else joint[-_KEPT:]
