"""How a journal is written down: lines, names, the mark and the cursor. Pure; docs/journal.md tells the same.

A line is the CRC-32 of the JSON text in 8 hex digits, a blank, the JSON text, a newline. The JSON
text is one object that begins with its sequence number.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from zlib import crc32

FORMAT_VERSION: Final = 1
"""Stands in each segment's first record."""

SEGMENT_LIMIT: Final = 64 << 20
"""Bytes of the longest segment."""

MAX_BODY: Final = 4 << 20
"""Bytes of the longest body of a record; a line is at most MAX_LINE."""

_HEAD: Final = 9
MAX_LINE: Final = MAX_BODY + 64

FOLDER_MODE: Final = 0o750
FILE_MODE: Final = 0o640
"""A journal holds patient data."""

COMMITTED: Final = "committed"
CURSOR: Final = "cursor"
HEARTBEAT: Final = "heartbeat"
CLAIM: Final = "claim"
FINISHED: Final = "finished"
PARENT: Final = "parent"

_SEGMENT: Final = re.compile(r"([0-9]{8})\.(log|done)")
_FOLDER: Final = re.compile(r"(.+)\.([0-9a-f]{32})")
_HEX: Final = re.compile(rb"[0-9a-f]{8} ")


class LineError(Exception):
    """The bytes are no line of a journal: torn, corrupted, or not written yet."""


def frame(sequence: int, body: bytes) -> bytes:
    """The line of a record.

    Args:
        sequence: the record's number, unique in its life.
        body: inner text of its JSON object, without braces: `"record":"...",...`.
    """
    text = b'{"sequence":%d,%b}' % (sequence, body)
    return b"%08x %b\n" % (crc32(text), text)


def unframe(line: bytes) -> bytes:
    """The JSON text of a line, given without its newline.

    Raises:
        LineError: the CRC is not that of the text.
    """
    if not _HEX.match(line) or int(line[:8], 16) != crc32(line[_HEAD:]):
        raise LineError
    return line[_HEAD:]


@dataclass(frozen=True, slots=True)
class Line:
    """A good line.

    Attributes:
        start: offset of its first byte in the segment.
        end: offset behind its newline.
        text: its JSON text.
    """

    start: int
    end: int
    text: bytes


def lines(data: bytes, offset: int) -> Iterator[Line]:
    """The good lines at the beginning of some bytes of a segment, up to the first that is none.

    An incomplete last line ends the iteration too: the caller tells by the last `end`, and by
    asking `is_complete`, whether it met a bad line or needs more bytes.
    """
    start = 0
    while (newline := data.find(b"\n", start)) >= 0:
        try:
            text = unframe(data[start:newline])
        except LineError:
            return
        yield Line(offset + start, offset + newline + 1, text)
        start = newline + 1


def segment_name(number: int, *, done: bool = False) -> str:
    """File name of a segment; `.done` once it is relayed to its end."""
    return f"{number:08d}.{'done' if done else 'log'}"


def aside_name(number: int) -> str:
    """File of the records of a segment of which no message could be made."""
    return f"{number:08d}.aside"


def parse_segment_name(name: str) -> tuple[int, bool] | None:
    """Number of a segment and whether it is done; None if the file is no segment."""
    match = _SEGMENT.fullmatch(name)
    return match and (int(match[1]), match[2] == "done")


def folder_name(receiver_id: str, life: str) -> str:
    """Name of a life's folder, below `journal` and below `incoming`."""
    return f"{receiver_id}.{life}"


def parse_folder_name(name: str) -> tuple[str, str] | None:
    """Receiver id and life of a journal's folder; None if it is none."""
    match = _FOLDER.fullmatch(name)
    return match and (match[1], match[2])


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place between two lines of a journal: segment number and byte offset."""

    segment: int
    offset: int


BEGINNING: Final = Position(0, 0)

_POSITION: Final = re.compile(rb"([0-9]{8}) ([0-9]{12}) ([0-9a-f]{8})\n")


def encode_position(position: Position) -> bytes:
    """A mark or a cursor: 31 bytes of text, always as many, with a CRC-32 of what stands before it."""
    text = b"%08d %012d" % (position.segment, position.offset)
    return b"%b %08x\n" % (text, crc32(text))


POSITION_LENGTH: Final = len(encode_position(BEGINNING))


def decode_position(data: bytes) -> Position | None:
    """A mark or a cursor; None if it is torn, empty or corrupted: then nobody knows where it was."""
    match = _POSITION.fullmatch(data)
    if match is None or int(match[3], 16) != crc32(data[:21]):
        return None
    return Position(int(match[1]), int(match[2]))


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What an owner's heartbeat file says: a counter that moves while it lives."""

    count: int

    def encode(self) -> bytes:
        """Its text, always of the same length."""
        return b"%020d\n" % self.count
