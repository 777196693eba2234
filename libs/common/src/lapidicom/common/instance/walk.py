"""The walk over the elements of a data set, in pieces of any size, that keeps only the wanted values.

It follows PS3.5 section 7 over all elements of the top level, to the end of the data set: a wanted element
may stand out of order, behind Pixel Data too. Values that nobody wants are skipped, not kept; of a value or
header that is cut by the end of a piece only that part is kept. What is wanted is taken from the top level
alone; of several elements with one tag the last counts, as in pydicom.

The *head* of a data set ends before its first element with a tag above all wanted ones; what follows is the
*tail*. Only oddities are in the tail, so it is read more leniently: it may be cut off anywhere, and it may
be unreadable, if no wanted element can be in what cannot be read.
"""

from typing import Final

from lapidicom.common.instance.coding import (
    CODINGS,
    HEADER,
    LONG_HEADER,
    UNDEFINED,
    Buffer,
    ByteOrder,
    is_vr,
)
from lapidicom.common.instance.errors import HeaderError
from lapidicom.common.instance.sequences import SequenceWalk, UnreadableError, Witness
from lapidicom.common.instance.tags import LAST_WANTED, WANTED, RawValues, tag_name
from lapidicom.common.instance.unreadable import UnreadableRest

MAX_WANTED_BYTES: Final = 64 * 1024
"""All wanted values of one data set together, at most."""

_INDEX = {tag: index for index, tag in enumerate(WANTED)}

_NO_LIMIT: Final = 1 << 32  # above every tag

_FILE_META: Final = 0x0002
_DELIMITERS: Final = 0xFFFE


class ElementWalk:
    """One walk: fed with a data set piece by piece to its end.

    Args:
        implicit: implicit VR.
        order: byte order of the data set.
        witness: gets notice of what is read.

    Attributes:
        in_tail: whether the head is behind.
    """

    def __init__(self, implicit: bool, order: ByteOrder, witness: Witness | None = None) -> None:
        self.in_tail = False
        self._implicit = implicit
        self._order: ByteOrder = order
        self._big = order == "big"
        self._coding = CODINGS[self._big]
        self._witness = witness
        self._values: list[bytes | None] = [None] * len(WANTED)
        self._budget = MAX_WANTED_BYTES
        self._begun = False
        self._sequences = SequenceWalk(order, witness)
        self._skip = 0
        self._carry = b""
        self._index = 0
        self._partial = bytearray()
        self._missing = 0
        self._tag = 0
        self._unreadable: UnreadableRest | None = None

    def go_on_in_tail(self, values: RawValues) -> None:
        """Begin within the tail of a data set, before a header, with the values found so far."""
        self._values = list(values)
        self._budget -= sum(map(len, filter(None, values)))
        self._begun = self.in_tail = True

    def feed(self, data: Buffer) -> None:
        """Walk on over the next bytes; what must be remembered of them is copied.

        Raises:
            HeaderError: the bytes are no data set, exceed a limit, or may hide a wanted element.
        """
        if self._skip:
            if self._skip >= len(data):
                self._skip -= len(data)
                return
            data = data[self._skip :]
            self._skip = 0
        if self._unreadable is not None:
            self._unreadable.feed(data)
            return
        if self._missing:
            taken = data[: self._missing]
            self._partial += taken
            self._missing -= len(taken)
            if self._missing:
                return
            self._values[self._index] = bytes(self._partial)
            self._partial = bytearray()
            data = data[len(taken) :]
        if self._carry:
            # The header that was cut: with a header's worth of bytes it can be read by itself, so that the
            # piece need not be copied.
            carried = len(self._carry)
            joint = self._carry + bytes(data[:LONG_HEADER])
            self._carry = b""
            rest = self._walk(joint)
            if rest > len(joint) - carried:
                self._carry = joint[len(joint) - rest :]
                return
            # The walk may have gone beyond the joint: into the piece, by skipping or within a value.
            self.feed(data[len(joint) - carried - rest :])
        elif len(data):
            rest = self._walk(data)
            if rest:
                self._carry = bytes(data[len(data) - rest :])

    def finish(self) -> RawValues:
        """Return what was found, behind the last byte of the data set.

        Raises:
            HeaderError: the data set is empty or ends inside an element of its head, or inside a wanted one.
        """
        if self._missing or not self.in_tail:
            if self._skip or self._missing or self._carry or self._sequences:
                raise HeaderError("the data set ends inside an element")
            if not self._begun:
                raise HeaderError("the data set is empty")
        return RawValues._make(self._values)

    def _walk(self, data: Buffer) -> int:
        """Walk over a piece that begins with a header; return how many bytes are left: part of a header."""
        try:
            return self._walk_elements(data)
        except UnreadableError as fault:
            if not self.in_tail:
                raise
            self._unreadable = UnreadableRest(self._order, self._tag)
            self._unreadable.feed(data[fault.offset :])
            return 0

    def _walk_elements(self, data: Buffer) -> int:
        end = len(data)
        pos = 0
        if not self._begun:
            pos = self._walk_file_meta(data)
        last = end - HEADER
        limit = _NO_LIMIT if self.in_tail else LAST_WANTED
        sequences = self._sequences
        if sequences:
            pos = sequences.walk(data, pos)
        if sequences or not self._begun:
            last = -1  # the piece ends within the sequence, or in what precedes the data set
        coding, witness, all_implicit = self._coding, self._witness, self._implicit
        explicit, implicit, length_at = coding.explicit, coding.implicit, coding.length
        short, long, index_of = coding.short, coding.long, _INDEX.get
        while pos <= last:
            if limit == _NO_LIMIT and witness is None:
                pos = self._hop(data, pos)
                if pos > last:
                    break
            size = 8
            if all_implicit:
                group, element, length = implicit(data, pos)
            else:
                group, element, vr, length = explicit(data, pos)
            tag = group << 16 | element
            # An end of a sequence of which there is none is left over by writers that give lengths, too.
            if tag > limit and group != _DELIMITERS:
                limit = _NO_LIMIT
                self.in_tail = True
                if witness is not None:
                    witness.close(pos)
            if not all_implicit and vr not in short:
                if vr in long or is_vr(vr):
                    size = 12
                    if pos + 12 > end:
                        break
                    (length,) = length_at(data, pos + 8)
                else:  # no VR at all: some writers fall into implicit VR
                    (length,) = length_at(data, pos + 4)
            index = index_of(tag)
            if witness is not None:
                witness.element(pos, size)
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
                if witness is not None:
                    witness.value(index, pos, length)
                pos = stop
            elif length == UNDEFINED:
                self._tag = tag
                if witness is not None:
                    witness.enter(tag)
                # PS3.5 section 6.2.2: what a UN of undefined length holds is always implicit VR.
                sequences.enter(all_implicit or vr == coding.un, pos - size)
                pos = sequences.walk(data, pos)
                if sequences:
                    break
                if witness is not None:
                    witness.leave()
            else:
                pos += length
        if witness is not None:
            witness.close(pos)
        if pos > end:
            self._skip = pos - end
            return 0
        return end - pos

    def _hop(self, data: Buffer, pos: int) -> int:
        """Hop over elements of the tail: those that most often are there, in the least time.

        Returns:
            The position of the first that must be looked at more closely, or where the piece ends.
        """
        coding, last = self._coding, len(data) - LONG_HEADER
        wanted, unpack, length_at = coding.wanted, coding.hop, coding.length
        if self._implicit:
            unpack = coding.implicit_hop
            while pos <= last:
                raw, length = unpack(data, pos)
                if raw in wanted or length == UNDEFINED:
                    break
                pos += length + 8
            return pos
        short, long = coding.short, coding.long
        while pos <= last:
            raw, vr, length = unpack(data, pos)
            if raw in wanted:
                break
            if vr in short:
                pos += length + 8
            elif vr in long:
                (length,) = length_at(data, pos + 8)
                if length == UNDEFINED:
                    break
                pos += length + 12
            else:
                break
        return pos

    def _walk_file_meta(self, data: Buffer) -> int:
        """Walk over elements of group 0002 at the very beginning, which some writers leave there.

        They are in explicit VR little endian, as in a file, or coded as the data set is.

        Returns:
            The position of the first element of the data set if it has begun; else behind the last element
            that has arrived: possibly beyond the piece's end.

        Raises:
            HeaderError: it begins with another element that is in no data set.
        """
        pos = 0
        end = len(data)
        while pos + HEADER <= end:
            group, _, vr, short_length = CODINGS[0].explicit(data, pos)
            big = self._big and group != _FILE_META
            coding = CODINGS[big]
            if big:
                group, _, vr, short_length = coding.explicit(data, pos)
            if group == 0:  # a command set, or the preamble of a file
                raise HeaderError("group 0000 at the start of the data set", 0)
            if group != _FILE_META:
                self._begun = True
                return pos
            size = HEADER
            if vr in coding.short:
                length = short_length
            elif vr not in coding.long:
                (length,) = coding.length(data, pos + 4)
            elif pos + LONG_HEADER <= end:
                size = LONG_HEADER
                (length,) = coding.length(data, pos + 8)
            else:
                break
            if self._witness is not None:
                self._witness.element(pos, size)
            pos += size + length
        return pos


def _too_long(tag: int, length: int) -> HeaderError:
    if length == UNDEFINED:
        return HeaderError(f"{tag_name(tag)} has an undefined length", tag)
    return HeaderError(f"{tag_name(tag)} exceeds 64 KiB of wanted values", tag)
