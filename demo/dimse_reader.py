"""Reads C-STORE requests and responses out of one direction of an association, for the demo's proof.

Written apart from the receiver's upper layer: a fault there must not hide itself here.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

P_DATA_TF = 4  # PS3.8 9.3.5
C_STORE_RQ, C_STORE_RSP = 0x0001, 0x8001  # PS3.7 E.1


@dataclass(frozen=True)
class StoreRequest:
    """A whole C-STORE request; `digest` is the SHA-256 of its data set as it went over the wire."""

    message_id: int
    sop_instance_uid: str
    digest: bytes


@dataclass(frozen=True)
class StoreResponse:
    """A C-STORE response."""

    message_id: int
    status: int
    comment: str


class DimseReader:
    """Takes the bytes of one direction as they come."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._pdu_left = 0  # bytes of the current P-DATA-TF not yet taken
        self._skip = 0
        self._command = b""
        self._request: dict[int, bytes] | None = None
        self._digest = hashlib.sha256()

    def feed(self, data: bytes) -> Iterator[StoreRequest | StoreResponse]:
        """Take bytes; yield the messages that they complete."""
        self._buffer += data
        while True:
            if self._skip:
                taken = min(self._skip, len(self._buffer))
                del self._buffer[:taken]
                self._skip -= taken
                if self._skip:
                    return
            if self._pdu_left:
                fragment = self._take_fragment()
                if fragment is None:
                    return
                yield from self._fragment(*fragment)
            elif len(self._buffer) < 6:
                return
            else:
                length = int.from_bytes(self._buffer[2:6], "big")
                if self._buffer[0] == P_DATA_TF:
                    self._pdu_left = length
                else:
                    self._skip = length
                del self._buffer[:6]

    def _take_fragment(self) -> tuple[int, bytes] | None:
        if len(self._buffer) < 6:
            return None
        length = int.from_bytes(self._buffer[:4], "big")
        if len(self._buffer) < 4 + length:
            return None
        header = self._buffer[5]
        fragment = bytes(self._buffer[6 : 4 + length])
        del self._buffer[: 4 + length]
        self._pdu_left -= 4 + length
        return header, fragment

    def _fragment(self, header: int, fragment: bytes) -> Iterator[StoreRequest | StoreResponse]:
        is_command, is_last = header & 1, header & 2  # PS3.8 E.2
        if is_command:
            self._command += fragment
            if is_last:
                elements = dict(_elements(self._command))
                self._command = b""
                yield from self._command_set(elements)
        else:
            self._digest.update(fragment)
            if is_last and self._request is not None:
                uid = self._request.get(0x1000, b"").rstrip(b"\0 ").decode("latin-1")
                yield StoreRequest(_number(self._request, 0x0110), uid, self._digest.digest())
                self._request = None

    def _command_set(self, elements: dict[int, bytes]) -> Iterator[StoreResponse]:
        match _number(elements, 0x0100):
            case 0x0001:
                self._request = elements
                self._digest = hashlib.sha256()
            case 0x8001:
                comment = elements.get(0x0902, b"").rstrip(b"\0 ").decode("latin-1")
                yield StoreResponse(_number(elements, 0x0120), _number(elements, 0x0900), comment)


def _elements(command: bytes) -> Iterator[tuple[int, bytes]]:
    """Element numbers and values of a command set: implicit VR little endian (PS3.7 6.3.1)."""
    position = 0
    while position + 8 <= len(command):
        element = int.from_bytes(command[position + 2 : position + 4], "little")
        length = int.from_bytes(command[position + 4 : position + 8], "little")
        yield element, command[position + 8 : position + 8 + length]
        position += 8 + length


def _number(elements: dict[int, bytes], element: int) -> int:
    return int.from_bytes(elements.get(element, b""), "little")
