"""Known tails: how far the elements behind the wanted ones can be passed over without a walk.

A tail is learned as segments, each a layout of its own: runs of elements that have had the same lengths in
all data sets, and each element by itself that has had others (a position, a window).
"""

from struct import Struct
from typing import Final

from lapidicom.common.instance.coding import HEADER, Buffer
from lapidicom.common.instance.layout import Course, Layout

_MAX_SEGMENTS: Final = 256
_MAX_VARIANTS: Final = 4  # of segments that begin with the same eight bytes

# An SCU whose every instance is laid out anew must not pay for learning.
_LEARNED_AT_FIRST: Final = 64
_LEARN_EVERY: Final = 16

_first_header = Struct("8s").unpack_from


class KnownTails:
    """The segments of the tails that one association sends in one transfer syntax."""

    def __init__(self) -> None:
        self._segments: dict[bytes, list[Layout]] = {}
        self._varying: set[bytes] = set()
        self._misses = 0

    def follow(self, data: Buffer, pos: int) -> int:
        """Return the position behind what is known: of an element, or beyond the end of the bytes."""
        end, find = len(data) - HEADER, self._segments.get
        while pos <= end:
            for segment in find(_first_header(data, pos)[0], ()):
                if segment.matches(data, pos):
                    pos += segment.end
                    break
            else:
                return pos
        return pos

    def course(self) -> Course | None:
        """Note that an element was not known; a course is returned if it is to be learned."""
        self._misses += 1
        is_learned = self._misses <= _LEARNED_AT_FIRST or self._misses % _LEARN_EVERY == 0
        return Course() if is_learned else None

    def learn(self, data: Buffer, course: Course) -> None:
        """Learn the elements at the beginning of some bytes, none of which is wanted."""
        if sum(map(len, self._segments.values())) > _MAX_SEGMENTS:
            self._segments.clear()
            self._varying.clear()
        while (varying := self._learn_runs(data, course)) is not None:
            self._varying.add(varying)

    def _learn_runs(self, data: Buffer, course: Course) -> bytes | None:
        """Learn all segments, up to one that has an element of another length; return the tag of that one."""
        start = 0
        cuts = [n for n in range(len(course.elements)) if course.tag(data, n) in self._varying]
        for cut in cuts:
            varying = self._learn_segment(data, course, start, cut)
            if varying is not None:
                return varying
            self._learn_segment(data, course, cut, cut + 1)
            start = cut + 1
        return self._learn_segment(data, course, start, len(course.elements))

    def _learn_segment(self, data: Buffer, course: Course, first: int, last: int) -> bytes | None:
        """Learn the elements from number `first` to before number `last`, unless they turn out to vary."""
        if first == last:
            return None
        places, begin, end = course.part(first, last)
        key = _first_header(data, begin)[0]
        segments = self._segments.setdefault(key, [])
        if any(segment.matches(data, begin) for segment in segments):
            return None
        if last - first > 1:
            for segment in segments:
                equal = segment.equal_headers(data, begin)
                if equal < len(places):
                    del self._segments[key]
                    return course.tag(data, course.element_of(first, equal))
        if len(segments) == _MAX_VARIANTS:
            del segments[0]
        segments.append(Layout(data[begin:], places, end - begin))
        return None
