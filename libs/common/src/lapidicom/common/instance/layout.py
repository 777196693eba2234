"""A learned layout: the headers of one data set, so that those of the next can be compared in one go.

If all headers that a walk reads are equal, the walk would end at the same place with values at the same
places: then these can be lifted at once, without walking.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from struct import Struct
from typing import Any, Final

from lapidicom.common.instance.tags import WANTED, RawValues

_TAG = Struct("4s").unpack_from

MAX_MARKS: Final = 1024
"""A header of more elements than this is not worth learning."""


@dataclass
class Course:
    """What a walk read, and where: offsets into the one piece that it was fed."""

    headers: list[tuple[int, int]] = field(default_factory=list)
    """Offset and size of each header; of no use if there are more than MAX_MARKS."""

    values: list[tuple[int, int] | None] = field(default_factory=lambda: [None] * len(WANTED))
    """Offset and size of each wanted value."""

    end: int = 0
    """Offset of the first element behind the walk."""

    def mark(self, offset: int, size: int) -> None:
        """Note a header, unless there are too many already."""
        if len(self.headers) <= MAX_MARKS:
            self.headers.append((offset, size))

    @property
    def is_learnable(self) -> bool:
        """Whether a layout can be made of it: few enough headers, and the wanted elements in their order."""
        offsets = [place[0] for place in self.values if place is not None]
        return len(self.headers) <= MAX_MARKS and offsets == sorted(offsets)


class Layout:
    """Where the headers and the wanted values of a data set lie.

    Args:
        data: the data set from which to learn.
        course: of a walk over it that ended at an element; see `Course.is_learnable`.
    """

    def __init__(self, data: memoryview | bytes, course: Course) -> None:
        headers, values = course.headers, course.values
        self._end = course.end
        self._size = course.end + 8  # as the walk, which reads a whole header there
        self._last = _TAG(data, course.end)
        self._headers = Struct(_format(headers)).unpack_from
        self._expected = self._headers(data)
        present = [place for place in values if place is not None]
        self._values = Struct(_format(present)).unpack_from
        self._order: Any = None
        if len(present) < len(values):
            numbers = iter(range(len(present)))
            self._order = itemgetter(*(-1 if place is None else next(numbers) for place in values))

    def lift(self, data: memoryview | bytes) -> RawValues | None:
        """Return the wanted values of a data set; None if it is not laid out so."""
        if (
            len(data) < self._size
            # The first element behind is elsewhere in most data sets with another layout: a cheap first look.
            or _TAG(data, self._end) != self._last
            or self._headers(data) != self._expected
        ):
            return None
        values = self._values(data)
        if self._order is not None:
            values = self._order((*values, None))
        return RawValues._make(values)


def _format(places: Sequence[tuple[int, int]]) -> str:
    """The struct format that gives the bytes at each of these places."""
    parts = ["<"]
    pos = 0
    for offset, size in places:
        parts.append(f"{offset - pos}x{size}s")
        pos = offset + size
    return "".join(parts)
