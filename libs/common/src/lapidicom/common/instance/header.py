"""The header scan: the wanted values of each data set that an association sends, at the least cost.

Most instances of a series have their elements at the same places: a layout learned from one serves the
next (`layout`). Else the elements are walked (`walk`). Head and tail of a data set have layouts of their own:
a number with one digit more in either leaves that of the other as it was.
"""

from typing import Final

from lapidicom.common.instance.coding import ByteOrder
from lapidicom.common.instance.inflate import InflatingWalk
from lapidicom.common.instance.layout import Course, HeadLayout
from lapidicom.common.instance.tags import RawValues
from lapidicom.common.instance.tail import KnownTails
from lapidicom.common.instance.walk import ElementWalk

IMPLICIT_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
DEFLATED_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1.99"

_MAX_HEADS = 8
_RELEARN_EVERY = 8  # misses: an SCU whose every instance is laid out anew must not pay for learning


class HeaderScanner:
    """Scans the data sets of one association in one transfer syntax, one after the other.

    Call `start` with the first bytes of a data set, `feed` with all others, then `finish`. After an error
    only `start` is of use. No reference to the bytes is kept. Not safe for several threads.

    Args:
        transfer_syntax_uid: implicit VR little endian, explicit VR big endian and deflated explicit VR little
            endian (PS3.5 annex A) are known; all others are read as explicit VR little endian.
    """

    def __init__(self, transfer_syntax_uid: str) -> None:
        self._implicit = transfer_syntax_uid == IMPLICIT_LITTLE_ENDIAN
        self._order: ByteOrder = "big" if transfer_syntax_uid == EXPLICIT_BIG_ENDIAN else "little"
        self._deflated = transfer_syntax_uid == DEFLATED_LITTLE_ENDIAN
        self._heads: list[HeadLayout] = []
        self._misses = 0
        self._tails = KnownTails()
        self._walk: ElementWalk | InflatingWalk | None = None
        self._lifted: RawValues
        self._skip = 0

    def start(self, data: memoryview | bytes) -> None:
        """Begin with the first bytes of a data set: the more of its headers they hold, the faster.

        Raises:
            HeaderError: the bytes are no data set, exceed a limit, or may hide a wanted element.
        """
        self._walk = None
        heads = self._heads
        for head in heads:
            lifted = head.lift(data)
            if lifted is not None:
                if head is not heads[0]:
                    heads.remove(head)
                    heads.insert(0, head)
                self._lifted = lifted
                pos = self._tails.follow(data, head.end)
                self._skip = pos - len(data)
                if self._skip < 0:
                    self._walk_tail(data[pos:])
                return
        self._skip = 0
        if self._deflated:
            self._walk = InflatingWalk()
            self._walk.feed(data)
        else:
            self._start_walk(data)

    def feed(self, data: memoryview | bytes) -> None:
        """Go on with the next bytes, split anywhere.

        Raises:
            HeaderError: as `start`.
        """
        size = len(data)
        if size <= self._skip:  # within Pixel Data, most often
            self._skip -= size
        elif self._walk is not None:
            self._walk.feed(data)
        else:
            pos = self._tails.follow(data, self._skip)
            self._skip = pos - size
            if self._skip < 0:
                self._walk_tail(data[pos:])

    def finish(self) -> RawValues:
        """Return the wanted values, behind the last byte of the data set.

        Raises:
            HeaderError: the data set is empty, or ends inside an element of its head or inside a wanted one.
        """
        return self._lifted if self._walk is None else self._walk.finish()

    def _walk_tail(self, data: memoryview | bytes) -> None:
        """Walk on from an element of the tail that is not known."""
        self._skip = 0
        course = self._tails.course()
        self._walk = ElementWalk(self._implicit, self._order, course)
        self._walk.go_on_in_tail(self._lifted)
        self._walk.feed(data)
        if course is not None and course.is_learnable and not course.has_values:
            self._tails.learn(data, course)

    def _start_walk(self, data: memoryview | bytes) -> None:
        course = None
        self._misses += 1
        if len(self._heads) < _MAX_HEADS or self._misses % _RELEARN_EVERY == 0:
            course = Course()
        self._walk = ElementWalk(self._implicit, self._order, course)
        self._walk.feed(data)
        if course is not None and course.is_learnable and self._walk.in_tail:
            del self._heads[_MAX_HEADS - 1 :]  # the one that was of use longest ago
            self._heads.insert(0, HeadLayout(data, course))
