"""The walk over a deflated data set, a raw deflate stream (PS3.5 section A.5) whose few bytes may be many."""

import zlib
from typing import Final

from lapidicom.common.instance.errors import HeaderError
from lapidicom.common.instance.tags import RawValues
from lapidicom.common.instance.walk import ElementWalk

MAX_INFLATED: Final = 512 * 1024 * 1024
"""Bytes that a deflated data set may have."""

MAX_INFLATED_ELEMENTS: Final = 500_000
"""Elements that a deflated data set may have, those within sequences of undefined length counted."""

_INPUT_SLICE = 16 * 1024
_OUTPUT_SLICE = 256 * 1024


class InflatingWalk:
    """Inflates in slices, so that a few bytes cannot become much memory, and walks over them."""

    def __init__(self) -> None:
        self._walk = ElementWalk(implicit=False, order="little", witness=_ElementLimit())
        self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
        self._inflated = 0

    def feed(self, data: memoryview | bytes) -> None:
        """Walk on.

        Raises:
            HeaderError: as `ElementWalk.feed`, or the bytes are not deflated.
        """
        for start in range(0, len(data), _INPUT_SLICE):
            rest: memoryview | bytes = data[start : start + _INPUT_SLICE]
            while not self._zlib.eof:
                try:
                    piece = self._zlib.decompress(rest, _OUTPUT_SLICE)
                except zlib.error as error:
                    raise HeaderError("the data set is not deflated (raw deflate)") from error
                self._inflated += len(piece)
                if self._inflated > MAX_INFLATED:
                    raise HeaderError(f"more than {MAX_INFLATED >> 20} MiB inflated")
                self._walk.feed(piece)
                rest = self._zlib.unconsumed_tail
                if not rest and len(piece) < _OUTPUT_SLICE:
                    break

    def finish(self) -> RawValues:
        """Return what was found.

        Raises:
            HeaderError: as `ElementWalk.finish`, or the stream ends within the head.
        """
        if not self._zlib.eof and not self._walk.in_tail:
            raise HeaderError("the data set ends inside its deflate stream")
        return self._walk.finish()


class _ElementLimit:
    """Counts elements (`sequences.Witness`)."""

    def __init__(self) -> None:
        self._left = MAX_INFLATED_ELEMENTS

    def element(self, offset: int, size: int) -> None:  # noqa: ARG002 -- where it is does not matter
        """Count a header.

        Raises:
            HeaderError: there are too many.
        """
        self._left -= 1
        if self._left < 0:
            raise HeaderError(f"more than {MAX_INFLATED_ELEMENTS:,} elements inflated")

    nested = element

    def value(self, index: int, offset: int, length: int) -> None:
        """Not of interest."""

    def enter(self, tag: int) -> None:
        """Not of interest."""

    def leave(self) -> None:
        """Not of interest."""

    def close(self, offset: int) -> None:
        """Not of interest."""
