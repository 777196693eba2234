"""The walk over the elements of a data set, in pieces of any size, that keeps only the wanted values.

It follows PS3.5 section 7: top-level elements in their order until one with a tag higher than any wanted
one. Values that nobody wants are skipped, not kept; of a value or header that is cut by the end of a piece
only that part is kept. What is wanted is taken from the top level alone; of several elements with one tag
the last counts, as in pydicom, and an element out of order is taken if it comes before the walk's end.
"""

from typing import Final

from lapidicom.common.instance.coding import (
    CODINGS,
    HEADER,
    ITEM,
    ITEM_END,
    LONG_HEADER,
    SEQUENCE_END,
    UNDEFINED,
    ByteOrder,
    is_vr,
)
from lapidicom.common.instance.errors import HeaderError
from lapidicom.common.instance.layout import Course
from lapidicom.common.instance.tags import LAST_WANTED, WANTED, RawValues, tag_name

Buffer = memoryview | bytes

MAX_WANTED_BYTES: Final = 64 * 1024
"""All wanted values of one data set together, at most."""

MAX_DEPTH: Final = 64
"""Sequences of undefined length within one another, at most."""

_INDEX = {tag: index for index, tag in enumerate(WANTED)}

# What encloses the walk, innermost last, is a list of these flags: sequences and items of undefined length.
_IN_SEQUENCE = 1  # an item or the end of the sequence comes next; else an element of an item
_BIG = 2  # big endian
_IMPLICIT = 4  # implicit VR; never together with _UNDECIDED
_UNDECIDED = 8  # the first element of the item tells whether its VRs are explicit
_OF_UN = 16  # the value of a UN of undefined length: implicit VR little endian (PS3.5 section 6.2.2)


class ElementWalk:
    """One walk: fed with a data set piece by piece until it is finished or the data set ends.

    Args:
        implicit: implicit VR.
        order: byte order of the data set.
        course: where to note what a walk of one single piece reads, for learning its layout.
    """

    def __init__(self, implicit: bool, order: ByteOrder, course: Course | None = None) -> None:
        self.finished = False
        self._implicit = implicit
        self._big = order == "big"
        self._coding = CODINGS[self._big]
        self._course = course
        self._values: list[bytes | None] = [None] * len(WANTED)
        self._budget = MAX_WANTED_BYTES
        self._begun = False
        self._stack: list[int] = []
        self._skip = 0
        self._carry = b""
        self._index = 0
        self._partial = bytearray()
        self._missing = 0

    def feed(self, data: Buffer) -> bool:
        """Walk on over the next bytes; what must be remembered of them is copied.

        Returns:
            Whether the walk is finished: the next element's tag is higher than any wanted one.

        Raises:
            HeaderError: the bytes are no data set, or exceed a limit.
        """
        if self.finished:
            return True
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        if self._missing:
            taken = data[: self._missing]
            self._partial += taken
            self._missing -= len(taken)
            if self._missing:
                return False
            self._values[self._index] = bytes(self._partial)
            self._partial = bytearray()
            data = data[len(taken) :]
        if self._carry:
            # The header that was cut: with a header's worth of bytes it can be read by itself, so that the
            # piece need not be copied.
            joint = self._carry + bytes(data[:LONG_HEADER])
            taken_size = len(joint) - len(self._carry)
            self._carry = b""
            rest = self._walk(joint)
            if self.finished:
                return True
            if rest > taken_size:
                self._carry = joint[len(joint) - rest :]
                return False
            # The walk may have gone beyond the joint: into the piece, by skipping or within a value.
            return self.feed(data[taken_size - rest :])
        if len(data):
            rest = self._walk(data)
            if rest and not self.finished:
                self._carry = bytes(data[len(data) - rest :])
        return self.finished

    def finish(self) -> RawValues:
        """Return what was found, when finished or behind the last byte of the data set.

        Raises:
            HeaderError: the data set is empty or ends inside an element.
        """
        if not self.finished:
            if self._skip or self._missing or self._carry or self._stack:
                raise HeaderError("the data set ends inside an element")
            if not self._begun:
                raise HeaderError("the data set is empty")
        return RawValues._make(self._values)

    def _walk(self, data: Buffer) -> int:
        """Walk over a piece that begins with a header; return how many bytes are left: part of a header."""
        end = len(data)
        pos = 0
        if not self._begun and end >= HEADER:
            self._begin(data)
        last, last_wanted = end - HEADER, LAST_WANTED
        stack = self._stack
        if stack:
            pos = self._walk_nested(data, pos)
            if stack:
                last = -1  # the piece ends within the sequence
        coding, course, all_implicit = self._coding, self._course, self._implicit
        explicit, implicit, length_at = coding.explicit, coding.implicit, coding.length
        short, long, index_of = coding.short, coding.long, _INDEX.get
        while pos <= last:
            size = 8
            if all_implicit:
                group, element, length = implicit(data, pos)
            else:
                group, element, vr, length = explicit(data, pos)
            tag = group << 16 | element
            # An end of a sequence of which there is none is left over by writers that give lengths, too.
            if tag > last_wanted and tag != SEQUENCE_END:
                self.finished = True
                if course is not None:
                    course.end = pos
                return end - pos
            if not all_implicit and vr not in short:
                if vr in long or is_vr(vr):
                    size = 12
                    if pos + 12 > end:
                        break
                    (length,) = length_at(data, pos + 8)
                else:  # no VR at all: some writers fall into implicit VR
                    (length,) = length_at(data, pos + 4)
            index = index_of(tag)
            if course is not None:
                course.mark(pos, size)
            pos += size
            if index is not None:
                stop = pos + length
                if length > self._budget:
                    raise _too_long(WANTED[index], length)
                self._budget -= length
                if stop > end:
                    self._index = index
                    self._partial += data[pos:]
                    self._missing = stop - end
                    return 0
                self._values[index] = bytes(data[pos:stop])
                if course is not None:
                    course.values[index] = (pos, length)
                pos = stop
            elif length == 0xFFFF_FFFF:
                if all_implicit:
                    self._enter(_IMPLICIT, is_un=False)
                else:
                    self._enter(self._big * _BIG, vr == coding.un)
                pos = self._walk_nested(data, pos)
                if stack:
                    break
            else:
                pos += length
        if pos > end:
            self._skip = pos - end
            return 0
        return end - pos

    def _begin(self, data: Buffer) -> None:
        group, _, _, _ = self._coding.explicit(data, 0)
        if group in (0x0000, 0x0002):  # a command set, a preamble or File Meta Information
            raise HeaderError(f"group {group:04x} at the start of the data set", group << 16)
        self._begun = True

    def _enter(self, flags: int, is_un: bool) -> None:
        """Go into a sequence of undefined length of an element that is coded as the flags say."""
        if len(self._stack) >= 2 * MAX_DEPTH:
            raise HeaderError(f"sequences are nested deeper than {MAX_DEPTH}")
        inside = flags & (_BIG | _IMPLICIT | _OF_UN) | _IN_SEQUENCE
        self._stack.append(inside | _OF_UN if is_un else inside)

    def _walk_nested(self, data: Buffer, pos: int) -> int:
        """Walk on within sequences and items of undefined length.

        Returns:
            The position behind the outermost one if the stack is empty; else where the piece has no further
            whole header: possibly beyond its end.
        """
        end = len(data)
        stack, course = self._stack, self._course
        while stack and pos + HEADER <= end:
            flags = stack[-1]
            size = HEADER
            if flags & _IN_SEQUENCE:
                # In a big-endian data set the value of a UN is little endian, or should be: each item shows.
                big = self._big and data[pos] != 0xFE
                group, element, length = CODINGS[big].implicit(data, pos)
                tag = group << 16 | element
                if tag == ITEM:
                    if length == UNDEFINED:
                        kind = flags & _OF_UN | big * _BIG
                        stack.append(kind | (flags & _IMPLICIT or _UNDECIDED))
                        length = 0
                elif tag == SEQUENCE_END:
                    stack.pop()
                    length = 0
                else:
                    raise HeaderError(f"{tag_name(tag)} where an item must be", tag)
            else:
                coding = CODINGS[bool(flags & _BIG)]
                group, element, length = coding.implicit(data, pos)
                tag = group << 16 | element
                if tag == ITEM_END:
                    stack.pop()
                    length = 0
                else:
                    vr = 0
                    if not flags & _IMPLICIT:
                        _, _, vr, short_length = coding.explicit(data, pos)
                        if flags & _UNDECIDED:
                            is_explicit = vr in coding.known if flags & _OF_UN else is_vr(vr)
                            flags = flags & ~_UNDECIDED | (0 if is_explicit else _IMPLICIT)
                            if flags & _IMPLICIT:
                                vr = 0
                            stack[-1] = flags
                        if vr in coding.short:
                            length = short_length
                        elif is_vr(vr):
                            size = LONG_HEADER
                            if pos + LONG_HEADER > end:
                                return pos
                            (length,) = coding.length(data, pos + 8)
                    if length == UNDEFINED:
                        self._enter(flags, vr == coding.un)
                        length = 0
            if course is not None:
                course.mark(pos, size)
            pos += size + length
        return pos


def _too_long(tag: int, length: int) -> HeaderError:
    if length == UNDEFINED:
        return HeaderError(f"{tag_name(tag)} has an undefined length", tag)
    return HeaderError(f"{tag_name(tag)} exceeds 64 KiB of wanted values", tag)
