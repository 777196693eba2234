"""The walk over sequences of undefined length, which end with a delimiter (PS3.5 section 7.5)."""

from typing import Final, Protocol

from lapidicom.common.instance.coding import (
    CODINGS,
    HEADER,
    ITEM,
    ITEM_END,
    LONG_HEADER,
    SEQUENCE_END,
    UNDEFINED,
    Buffer,
    ByteOrder,
    is_vr,
)
from lapidicom.common.instance.errors import HeaderError
from lapidicom.common.instance.tags import tag_name

MAX_DEPTH: Final = 64
"""Sequences of undefined length within one another, at most."""

# What encloses the walk is a list of these flags, innermost last: sequences and items of undefined length.
_IN_SEQUENCE = 1  # an item or the end of the sequence comes next; else an element of an item
_BIG = 2  # big endian
_IMPLICIT = 4  # implicit VR; never together with _UNDECIDED
_UNDECIDED = 8  # the first element of the item tells whether its VRs are explicit


class Witness(Protocol):
    """Gets notice of what a walk reads; offsets are those into the piece that was fed."""

    def element(self, offset: int, size: int) -> None:
        """Take note of the header of an element at the top level."""

    def nested(self, offset: int, size: int) -> None:
        """Take note of a header within it."""

    def value(self, index: int, offset: int, length: int) -> None:
        """Take note of the whole value of the wanted element WANTED[index]."""

    def enter(self, tag: int) -> None:
        """Take note that it is of undefined length."""

    def leave(self) -> None:
        """Take note that it has ended."""

    def close(self, offset: int) -> None:
        """Take note that the head ended there, or the piece."""


class UnreadableError(HeaderError):
    """The structure cannot be followed from an offset of the piece on."""

    def __init__(self, fault: str, tag: int | None, offset: int) -> None:
        super().__init__(fault, tag)
        self.offset = offset


class SequenceWalk:
    """Where a walk is within sequences and items of undefined length, if it is within any.

    Args:
        order: byte order of the data set.
        witness: gets notice of what is read.
    """

    def __init__(self, order: ByteOrder, witness: Witness | None = None) -> None:
        self._big = order == "big"
        self._witness = witness
        self._stack: list[int] = []

    def __bool__(self) -> bool:
        """Whether the walk is within any."""
        return bool(self._stack)

    def enter(self, is_implicit: bool, offset: int) -> None:
        """Go into a sequence of the top level, whose header is at that offset.

        Args:
            is_implicit: its items are certainly in implicit VR.
            offset: for the error only.

        Raises:
            UnreadableError: it is nested too deeply.
        """
        self._enter(_IMPLICIT if is_implicit else self._big * _BIG, offset)

    def _enter(self, flags: int, offset: int) -> None:
        """Go into a sequence of undefined length of an element at `offset` that is coded as the flags say."""
        if len(self._stack) >= 2 * MAX_DEPTH:
            raise UnreadableError(f"sequences are nested deeper than {MAX_DEPTH}", None, offset)
        self._stack.append(flags & (_BIG | _IMPLICIT) | _IN_SEQUENCE)

    def walk(self, data: Buffer, pos: int) -> int:
        """Walk on within them.

        Returns:
            The position behind the outermost one if that has ended; else where the piece has no further
            whole header: possibly beyond its end.

        Raises:
            UnreadableError: what is there is no sequence.
        """
        end = len(data)
        stack, witness = self._stack, self._witness
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
                        stack.append(big * _BIG | (flags & _IMPLICIT or _UNDECIDED))
                        length = 0
                elif tag == SEQUENCE_END:
                    stack.pop()
                    length = 0
                elif tag == ITEM_END:  # left over by writers that give the item's length, too
                    length = 0
                else:
                    raise UnreadableError(f"{tag_name(tag)} where an item must be", tag, pos)
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
                            flags = flags & ~_UNDECIDED | (0 if is_vr(vr) else _IMPLICIT)
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
                        self._enter(_IMPLICIT if vr == coding.un else flags, pos)
                        length = 0
            if witness is not None:
                witness.nested(pos, size)
            pos += size + length
        return pos
