"""A learned layout: where the headers of elements lie, so that those of the next data set can be compared.

If all headers that a walk reads are equal, it would end at the same place with values at the same places:
then these can be lifted at once, without walking. Most values are equal as well in the instances of a series:
they are compared together with the headers around them, as one run of bytes, until they differ once.
"""

from bisect import bisect_right
from collections.abc import Iterable
from itertools import pairwise
from struct import Struct
from typing import Any, Final

from lapidicom.common.instance.coding import HEADER, Buffer
from lapidicom.common.instance.tags import PIXEL_DATA, WANTED, RawValues

MAX_MARKS: Final = 1024
"""A head or tail of more elements than this is not worth learning."""

_MAX_COMPARED: Final = 64
"""Bytes of a value that is compared; longer ones are rarely equal in two instances."""

Place = tuple[int, int]
"""Offset and size."""


class Course:
    """What a walk reads of a head, or of a tail, in the first piece that it is fed (`sequences.Witness`).

    Attributes:
        headers: the place of each header.
        elements: which of the headers are those of elements at the top level.
        values: the place of each wanted value.
        end: where the next element at the top level begins, perhaps beyond the piece; 0 until that is known.
    """

    def __init__(self) -> None:
        self.headers: list[Place] = []
        self.elements: list[int] = []
        self.values: list[Place | None] = [None] * len(WANTED)
        self.end = 0
        self._is_closed = False
        self._is_within = False

    def element(self, offset: int, size: int) -> None:
        """Note the header of an element at the top level, unless there are too many already."""
        if not self._is_closed and len(self.headers) <= MAX_MARKS:
            self.elements.append(len(self.headers))
            self.headers.append((offset, size))

    def nested(self, offset: int, size: int) -> None:
        """Note a header within it."""
        if not self._is_closed and len(self.headers) <= MAX_MARKS:
            self.headers.append((offset, size))

    def value(self, index: int, offset: int, length: int) -> None:
        """Note a wanted value."""
        if not self._is_closed:
            self.values[index] = (offset, length)

    def enter(self, tag: int) -> None:
        """Note that the element whose header was noted last is of undefined length.

        The course ends before one that goes on behind the piece, and before Pixel Data in fragments: their
        lengths are others in each instance.
        """
        self._is_within = True
        if tag == PIXEL_DATA:
            self.close(0)

    def leave(self) -> None:
        """Note that it has ended."""
        self._is_within = False

    def close(self, offset: int) -> None:
        """Note where the walk is when the head, or the piece, has ended; what is read afterwards is not."""
        if self._is_closed:
            return
        self._is_closed = True
        self.end = offset
        if self._is_within and len(self.headers) <= MAX_MARKS:
            last = self.elements.pop()
            self.end = self.headers[last][0]
            del self.headers[last:]

    @property
    def has_values(self) -> bool:
        """Whether there are wanted values."""
        return any(place is not None for place in self.values)

    @property
    def is_learnable(self) -> bool:
        """Whether a layout can be made of it: its end is known, the wanted elements are in their order."""
        offsets = [place[0] for place in self.values if place is not None]
        return self.end > 0 and 0 < len(self.headers) <= MAX_MARKS and offsets == sorted(offsets)

    def part(self, first: int, last: int) -> tuple[list[Place], int, int]:
        """Headers of elements `first` to before `last`, relative to the first; where that begins; the end."""
        start = self.elements[first]
        stop = self.elements[last] if last < len(self.elements) else len(self.headers)
        begin = self.headers[start][0]
        end = self.headers[stop][0] if last < len(self.elements) else self.end
        return [(offset - begin, size) for offset, size in self.headers[start:stop]], begin, end

    def element_of(self, first: int, header: int) -> int:
        """Number of the element to which a header belongs, counted from that of the element `first`."""
        return bisect_right(self.elements, self.elements[first] + header) - 1

    def tag(self, data: Buffer, number: int) -> bytes:
        """The four bytes of an element's tag."""
        offset = self.headers[self.elements[number]][0]
        return bytes(data[offset : offset + 4])


class Layout:
    """Where the headers of a run of elements lie.

    Args:
        data: begins with the elements from which to learn.
        places: of the headers; the last one tells best whether another data set is laid out so.
        end: where the next element begins.
    """

    def __init__(self, data: Buffer, places: list[Place], end: int) -> None:
        self.end = end
        self._size = sum(places[-1])  # bytes that must be there
        self._places = places
        self._headers = [bytes(data[offset : offset + length]) for offset, length in places]
        # Values that were equal so far, by where they begin.
        self._equal = {
            start: bytes(data[start:stop])
            for (offset, length), (stop, _) in pairwise(places)
            if (start := offset + length) < stop <= start + _MAX_COMPARED
        }
        offset, length = places[-1]
        self._last = Struct(f"<{offset}x{length}s").unpack_from
        self._expected_last = self._last(data)
        self._runs = self._last
        self._expected: tuple[bytes, ...] | None = None  # until a second data set has shown what is equal

    def matches(self, data: Buffer, base: int = 0) -> bool:
        """Whether the elements at `base` are laid out so."""
        return (
            len(data) - base >= self._size and self._runs(data, base) == self._expected
        ) or self._matches_but_for_values(data, base)

    def _matches_but_for_values(self, data: Buffer, base: int) -> bool:
        """Whether all headers are equal; values that are not are no longer compared from now on."""
        if len(data) - base < self._size or self._last(data, base) != self._expected_last:
            return False
        sample = data[base : base + self._size]
        if self.equal_headers(sample, 0) < len(self._places):
            return False
        self._equal = {
            start: value
            for start, value in self._equal.items()
            if sample[start : start + len(value)] == value
        }
        self._learn(sample)
        return True

    def equal_headers(self, data: Buffer, base: int) -> int:
        """How many headers there are equal, up to the first that is not."""
        for number, ((offset, size), header) in enumerate(zip(self._places, self._headers, strict=True)):
            if data[base + offset : base + offset + size] != header:
                return number
        return len(self._places)

    def _learn(self, sample: Buffer) -> None:
        """Expect the headers and what values are equal, in as few runs of bytes as there can be."""
        runs: list[Place] = []
        start = stop = self._places[0][0]
        value_at = self._equal.get
        for offset, size in self._places:
            if offset != stop:
                runs.append((start, stop - start))
                start = offset
            stop = offset + size
            stop += len(value_at(stop, b""))
        runs.append((start, stop - start))
        self._runs = Struct(_format(runs)).unpack_from
        self._expected = self._runs(sample)


class HeadLayout(Layout):
    """Where the headers and the wanted values of a head lie.

    Args:
        data: the data set from which to learn.
        course: of a walk that went beyond the head.
    """

    def __init__(self, data: Buffer, course: Course) -> None:
        self._wanted = course.values
        self._fixed: list[bytes | None]
        self._varying: list[int]
        self._varying_values: Any
        # The first tag of the tail is elsewhere in most data sets with another layout. The walk reads a whole
        # header there.
        super().__init__(data, [*course.headers, (course.end, 4)], course.end)
        self._size = course.end + HEADER

    def lift(self, data: Buffer) -> RawValues | None:
        """Return the wanted values of a data set; None if its head is not laid out so."""
        if (
            len(data) < self._size or self._runs(data) != self._expected
        ) and not self._matches_but_for_values(data, 0):
            return None
        values = self._fixed.copy()
        for index, value in zip(self._varying, self._varying_values(data), strict=True):
            values[index] = value
        return RawValues._make(values)

    def _learn(self, sample: Buffer) -> None:
        super()._learn(sample)
        self._fixed = [
            None if place is None else bytes(sample[place[0] : sum(place)]) for place in self._wanted
        ]
        varying = {
            index: place
            for index, place in enumerate(self._wanted)
            if place is not None and place[1] and place[0] not in self._equal
        }
        self._varying = list(varying)
        self._varying_values = Struct(_format(varying.values())).unpack_from


def _format(places: Iterable[Place]) -> str:
    """The struct format that gives the bytes at each of these places."""
    parts = ["<"]
    pos = 0
    for offset, size in places:
        parts.append(f"{offset - pos}x{size}s")
        pos = offset + size
    return "".join(parts)
