"""Cuts the byte stream of an association into PDUs, and P-DATA-TF into PDV fragments, without copying.

PS3.8 section 9.3.1 (every PDU: type, reserved, 32-bit length) and 9.3.5 (P-DATA-TF). One buffer
serves the whole association, and fragments are views into it. That of a command set lasts until the next
read; those of a data set until its last fragment was handed out, or until the reader says that they end:
whoever keeps some writes them out then.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

BUFFER_SIZE: Final = 1 << 20
"""A CT slice of 512 KiB fits as a whole and leaves in one writev; memory per association is bounded."""

MAX_OTHER_PDU: Final = BUFFER_SIZE - 6
"""Longest body of any PDU but P-DATA-TF, bytes."""

P_DATA_TF: Final = 0x04
DATA_SET_LAST: Final = 0x02
"""Message control header of a data set's last fragment (PS3.8 annex E.2): with it most messages end."""

_COMMAND: Final = 0x01
"""That of a command's fragment: no view is kept, and more is to come."""

_HEADER = struct.Struct(">BxI")
_PDV_HEADER = struct.Struct(">IBB")
_BOTH_HEADERS = struct.Struct(">BxIIBB")


class MalformedPDU(Exception):
    """The stream breaks the rules of PS3.8: the association must be aborted with this reason.

    Args:
        reason: of A-ABORT, source 2 (PS3.8 table 9-26).
    """

    def __init__(self, reason: int, fault: str) -> None:
        super().__init__(fault)
        self.reason = reason


class Fragment(NamedTuple):
    """A part of a message: what one PDV holds, or as much of it as the buffer could take.

    A named tuple, since it is made for every PDV and a frozen dataclass takes three times as long.
    """

    context_id: int
    is_command: bool
    is_last: bool
    data: memoryview


@dataclass(frozen=True, slots=True)
class WholePDU:
    """Any PDU but P-DATA-TF; the body is a copy of the stream's bytes."""

    type: int
    body: bytes


class ViewsEnd:
    """The buffer is full: the next read overwrites all fragments handed out. There is one, `VIEWS_END`."""


VIEWS_END: Final = ViewsEnd()


class _BufferFull(Exception):
    """There is no room to read on, but for what was handed out."""


class PDUReader:
    """Reads one association's stream.

    Args:
        receive_into: fills a view and returns the number of bytes, at least one; `all_of_it` asks to
            wait until the view is full. Raises PeerClosed or PeerSilent.
        acknowledge: tells the peer what has arrived; called before a read amid a message. What ends a
            message needs no such thing: its answer goes out at once.
        max_p_data: longest P-DATA-TF that is taken, bytes; None = any.
    """

    __slots__ = (
        "_acknowledge",
        "_context_id",
        "_control",
        "_end",
        "_max_p_data",
        "_pdu_left",
        "_pdv_left",
        "_size",
        "_start",
        "_view",
        "_views_ended",
        "receive_into",
    )

    def __init__(
        self,
        receive_into: Callable[[memoryview, bool], int],
        *,
        acknowledge: Callable[[], object] = lambda: None,
        max_p_data: int | None = None,
        size: int = BUFFER_SIZE,
    ) -> None:
        self.receive_into = receive_into
        self._acknowledge = acknowledge
        self._view = memoryview(bytearray(size))
        self._size = size
        self._start = self._end = 0  # what has arrived and was not handed out yet
        self._pdu_left = 0  # of the current P-DATA-TF
        self._pdv_left = 0  # of the current PDV's fragment
        self._context_id, self._control = 0, _COMMAND
        self._views_ended = False
        self._max_p_data = max_p_data

    def read(self) -> Fragment | WholePDU | ViewsEnd:
        """Return the next fragment or PDU; amid a data set, `VIEWS_END` once before the buffer is used anew.

        Raises:
            PeerClosed, PeerSilent: from the connection.
            MalformedPDU: for lengths that contradict one another or exceed a limit.
        """
        try:
            if not self._pdv_left:
                if not self._pdu_left:
                    self._fill(6, is_amid=self._control & 3 != DATA_SET_LAST or self._end > self._start)
                    fragment = self._whole_fragment()
                    if fragment is not None:
                        return fragment
                    kind, length = _HEADER.unpack_from(self._view, self._start)
                    self._start += 6
                    if kind != P_DATA_TF:
                        return self._whole(kind, length)
                    if self._max_p_data is not None and length > self._max_p_data:
                        raise MalformedPDU(6, "P-DATA-TF longer than the maximum length negotiated")
                    self._pdu_left = length
                self._begin_pdv()
                if not self._pdv_left:  # an empty fragment is legal, and may be the last
                    is_command, is_last = bool(self._control & 1), bool(self._control & 2)
                    return Fragment(self._context_id, is_command, is_last, self._view[:0])
            return self._fragment()
        except _BufferFull:
            return VIEWS_END

    def _whole_fragment(self) -> Fragment | None:
        """Hand out the next PDU in one go if it is a P-DATA-TF of a single PDV and has arrived as a whole.

        That is the form in which nearly all come. Whatever else it is, or is amiss with it, shows when
        it is read step by step.
        """
        data = self._start + 12
        if data > self._end:
            return None
        kind, length, item_length, context_id, control = _BOTH_HEADERS.unpack_from(self._view, self._start)
        end = data + item_length - 2
        if (
            kind != P_DATA_TF
            or length != item_length + 4
            or not data <= end <= self._end
            or (self._max_p_data is not None and length > self._max_p_data)
        ):
            return None
        self._start = end
        self._control = control
        return Fragment(context_id, control & 1 == 1, control & 2 == 2, self._view[data:end])

    def _begin_pdv(self) -> None:
        self._fill(6) if self._pdu_left >= 6 else self._truncated()
        item_length, self._context_id, self._control = _PDV_HEADER.unpack_from(self._view, self._start)
        self._start += 6
        self._pdu_left -= 6
        if item_length < 2 or item_length - 2 > self._pdu_left:
            raise MalformedPDU(6, "length of a PDV contradicts its P-DATA-TF")
        self._pdv_left = item_length - 2
        self._pdu_left -= self._pdv_left

    @staticmethod
    def _truncated() -> None:
        raise MalformedPDU(6, "P-DATA-TF ends inside the header of a PDV")

    def _fragment(self) -> Fragment:
        """Hand out the rest of the PDV, or as much of it as there is room for in the buffer."""
        want = self._pdv_left
        room = self._size - self._start
        if want > room:
            if room <= self._size >> 1:
                self._make_room()
                room = self._size - self._start
            want = min(want, room)
        self._fill(want)
        begin, end = self._start, self._start + want
        self._start = end
        self._pdv_left -= want
        last = bool(self._control & 2) and not self._pdv_left
        return Fragment(self._context_id, bool(self._control & 1), last, self._view[begin:end])

    def _whole(self, kind: int, length: int) -> WholePDU:
        if not 1 <= kind <= 7:
            raise MalformedPDU(1, "unrecognised PDU")
        if length > min(MAX_OTHER_PDU, self._size - 6):
            raise MalformedPDU(6, "PDU longer than 1 MiB")
        self._control = _COMMAND  # whatever it is, it ends the data set under way, if there is one
        self._fill(length)
        body = bytes(self._view[self._start : self._start + length])
        self._start += length
        return WholePDU(kind, body)

    def _fill(self, need: int, *, is_amid: bool = True) -> None:
        """Receive until `need` bytes are there; take whatever else has arrived along with them.

        Args:
            need: bytes.
            is_amid: a message, or a PDU of it, has begun to arrive.
        """
        if self._end - self._start >= need:
            return
        if self._start == self._end and not self._has_views():
            self._start = self._end = 0
        if self._start + need > self._size:
            self._make_room()
        view, goal = self._view, self._start + need
        if is_amid:
            self._acknowledge()
        self._end += self.receive_into(view[self._end :], False)
        while self._end < goal:
            self._acknowledge()
            self._end += self.receive_into(view[self._end : goal], True)

    def _has_views(self) -> bool:
        """Whether fragments of a data set may be kept."""
        return not self._control & 1 and (not self._control & 2 or self._pdv_left > 0)

    def _make_room(self) -> None:
        if self._has_views() and not self._views_ended:
            self._views_ended = True
            raise _BufferFull
        self._views_ended = False
        left = self._end - self._start
        self._view[:left] = self._view[self._start : self._end]
        self._start, self._end = 0, left
