"""A learned layout: the headers of one data set, so that those of the next can be compared in one go.

If all headers that a walk reads are equal, the walk would end at the same place with values at the same
places: then these can be lifted at once, without walking.
"""

from collections.abc import Sequence
from operator import itemgetter
from struct import Struct
from typing import Any

from lapidicom.common.instance.tags import RawValues

_TAG = Struct("4s").unpack_from


class Layout:
    """Where the headers and the wanted values of a data set lie.

    Args:
        data: the data set from which to learn.
        headers: offset and size of each header that the walk read, ascending.
        values: offset and size of each wanted value in the order of RawValues, ascending; None: missing.
        end: offset of the first element behind the walk; only its tag (4 bytes) must be equal.
    """

    def __init__(
        self,
        data: memoryview | bytes,
        headers: Sequence[tuple[int, int]],
        values: Sequence[tuple[int, int] | None],
        end: int,
    ) -> None:
        self._end = end
        self._size = end + 4
        self._last = _TAG(data, end)
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
    """The struct format that gives the bytes at each of these places (adjacent ones may be merged)."""
    parts = ["<"]
    pos = 0
    for offset, size in places:
        parts.append(f"{offset - pos}x{size}s")
        pos = offset + size
    return "".join(parts)
