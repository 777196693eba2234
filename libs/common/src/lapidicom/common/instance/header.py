"""The header scan: the wanted values of each data set that an association sends, at the least cost.

Most instances of a series have their elements at the same places: a layout learned from one serves the
next (`layout`). Else the elements are walked (`walk`).
"""

import zlib
from typing import Final

from lapidicom.common.instance.errors import HeaderError
from lapidicom.common.instance.layout import Course, Layout
from lapidicom.common.instance.tags import LAST_WANTED, RawValues, tag_name
from lapidicom.common.instance.walk import ElementWalk

IMPLICIT_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
DEFLATED_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1.99"

MAX_INFLATED: Final = 64 * 1024 * 1024
"""Bytes that a deflated data set may have before the last wanted tag."""

_MAX_LAYOUTS = 8
_RELEARN_EVERY = 8  # misses: an SCU whose every instance is laid out anew must not pay for learning
_INPUT_SLICE = 16 * 1024
_OUTPUT_SLICE = 256 * 1024


class HeaderScanner:
    """Scans the headers of the data sets of one association in one transfer syntax, one after the other.

    Call `start` with the first bytes of a data set, `feed` with all others until either returns True or the
    data set ends, then `finish`. After a HeaderError only `start` is of use. Not safe for several threads.

    Args:
        transfer_syntax_uid: implicit VR little endian, explicit VR big endian and deflated explicit VR little
            endian (PS3.5 annex A) are known; all others are read as explicit VR little endian.
    """

    def __init__(self, transfer_syntax_uid: str) -> None:
        self._implicit = transfer_syntax_uid == IMPLICIT_LITTLE_ENDIAN
        self._big = transfer_syntax_uid == EXPLICIT_BIG_ENDIAN
        self._deflated = transfer_syntax_uid == DEFLATED_LITTLE_ENDIAN
        self._layouts: list[Layout] = []
        self._misses = 0
        self._lifted: RawValues | None = None
        self._walk = self._new_walk()
        self._inflater: _Inflater | None = None

    def start(self, data: memoryview | bytes) -> bool:
        """Begin with the first bytes of a data set: the more of the header they hold, the faster.

        Returns:
            Whether nothing more is needed (see `feed`).

        Raises:
            HeaderError: the bytes are no data set, or exceed a limit.
        """
        layouts = self._layouts
        for layout in layouts:
            lifted = layout.lift(data)
            if lifted is not None:
                self._lifted = lifted
                if layout is not layouts[0]:
                    layouts.remove(layout)
                    layouts.insert(0, layout)
                return True
        self._lifted = None
        if self._deflated:
            self._walk = self._new_walk()
            self._inflater = _Inflater(self._walk)
            return self._inflater.feed(data)
        self._misses += 1
        course = None
        if len(layouts) < _MAX_LAYOUTS or self._misses % _RELEARN_EVERY == 0:
            course = Course()
        self._walk = self._new_walk(course)
        finished = self._walk.feed(data)
        if finished and course is not None:
            self._learn(data, course)
        return finished

    def feed(self, data: memoryview | bytes) -> bool:
        """Go on with the next bytes, split anywhere; no reference to them is kept.

        Returns:
            Whether nothing more is needed: what follows lies beyond the last wanted tag, InstanceNumber.

        Raises:
            HeaderError: the bytes are no data set, or exceed a limit.
        """
        if self._lifted is not None:
            return True
        if self._inflater is not None:
            return self._inflater.feed(data)
        return self._walk.feed(data)

    def finish(self) -> RawValues:
        """Return the wanted values: when `start` or `feed` returned True, or behind the data set's last byte.

        Raises:
            HeaderError: the data set is empty, or ends inside an element.
        """
        if self._lifted is not None:
            return self._lifted
        if self._inflater is not None:
            self._inflater.finish()
        return self._walk.finish()

    def _new_walk(self, course: Course | None = None) -> ElementWalk:
        return ElementWalk(self._implicit, "big" if self._big else "little", course)

    def _learn(self, data: memoryview | bytes, course: Course) -> None:
        if not course.is_learnable:
            return
        if len(self._layouts) >= _MAX_LAYOUTS:
            self._layouts.pop()  # the one that was of use longest ago
        self._layouts.insert(0, Layout(data, course))


class _Inflater:
    """Inflates a deflated data set (PS3.5 section A.5: a raw deflate stream) as far as the walk needs it."""

    def __init__(self, walk: ElementWalk) -> None:
        self._walk = walk
        self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
        self._inflated = 0

    def feed(self, data: memoryview | bytes) -> bool:
        """Inflate and walk in slices, so that a few bytes cannot become much memory."""
        for start in range(0, len(data), _INPUT_SLICE):
            rest: memoryview | bytes = data[start : start + _INPUT_SLICE]
            while not self._walk.finished and not self._zlib.eof:
                try:
                    piece = self._zlib.decompress(rest, _OUTPUT_SLICE)
                except zlib.error as error:
                    raise HeaderError("the data set is not deflated (raw deflate)") from error
                self._inflated += len(piece)
                if self._walk.feed(piece):
                    return True
                if self._inflated > MAX_INFLATED:
                    name = tag_name(LAST_WANTED)
                    raise HeaderError(f"more than 64 MiB inflated before {name}")
                rest = self._zlib.unconsumed_tail
                if not rest and len(piece) < _OUTPUT_SLICE:
                    break
        return self._walk.finished

    def finish(self) -> None:
        """Check that the stream ended, if the walk needed it to its end."""
        if not self._walk.finished and not self._zlib.eof:
            raise HeaderError("the data set ends inside its deflate stream")
