"""How a journal is written down: lines, names, the mark and the cursor. Pure; docs/journal.md tells the same.

A line is the CRC-32 of its text in 8 hex digits, a blank, the text, a newline. What the text holds is
a matter of the format: see records.py, and format_1.py for what receivers wrote before.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple
from zlib import crc32

FORMAT: Final = 2
"""What this version writes."""

FOLDERS: Final[Mapping[int, str]] = {1: "journal", 2: "journals/2"}
"""Where the journals of each format lie, below the spool.

Another kind of line, of record or of message is another format, with a folder `journals/<number>` of its
own: so a version that does not know it never opens, claims or deletes such a journal. Format 1 has a
place outside of `journals`: the version that wrote it looks nowhere else, and takes all it finds for its own.
"""

JOURNALS: Final = "journals"
"""Folder of the folders of all formats but the first, below the spool."""

SEGMENT_LIMIT: Final = 64 << 20
"""Bytes of records in a segment, at most. The list of open series, with which it begins, does not count:
however long it is, there is room behind it."""

MAX_BODY: Final = 4 << 20
"""Bytes of the longest record that is taken from a caller."""

MAX_LINE: Final = MAX_BODY + 4096
"""Bytes of the longest line that a reader takes. What is between the two is room for what the owner adds:
CRC and sequence number; counts, where it lists an open series or a caller ends one."""

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
_BAD_LINES: Final = re.compile(r"([0-9]{8})\.bad")
_FOLDER: Final = re.compile(r"(.+)\.([0-9a-f]{32})")
_TEXT: Final = 9


def frame(sequence: int, record: bytes) -> bytes:
    """The line of a record in the format that this version writes.

    Args:
        sequence: the record's number, unique in its life.
        record: as records.py makes it; has no newline.
    """
    text = b"%d\t%b" % (sequence, record)
    return b"%08x %b\n" % (crc32(text), text)


class Line(NamedTuple):
    """A good line.

    Attributes:
        start: offset of its first byte in the segment.
        end: offset behind its newline.
    """

    start: int
    end: int
    text: bytes


class BadStretch(NamedTuple):
    """Bytes in which no good line is found, torn or corrupted: offsets of the first, and behind the last."""

    start: int
    end: int


def lines(data: bytes, offset: int) -> Iterator[Line | BadStretch]:
    """What stands between the newlines in some bytes of a segment; what follows the last one is left out.

    Args:
        data: begins with a line.
        offset: of these bytes in the segment.
    """
    start = 0
    while (newline := data.find(b"\n", start)) >= 0:
        text = data[start + _TEXT : newline]
        end = newline + 1
        if data[start : start + _TEXT] == b"%08x " % crc32(text):
            yield Line(offset + start, offset + end, text)
        else:
            yield BadStretch(offset + start, offset + end)
        start = end


def segment_name(number: int, *, done: bool = False) -> str:
    """File name of a segment; `.done` once it is relayed to its end."""
    return f"{number:08d}.{'done' if done else 'log'}"


def aside_name(number: int) -> str:
    """File in which relays up to format 1 kept the records of which they could make no message."""
    return f"{number:08d}.aside"


def bad_lines_name(number: int) -> str:
    """File in which relays note where a segment has bad lines."""
    return f"{number:08d}.bad"


def parse_bad_lines_name(name: str) -> int | None:
    """Number of the segment of such a file; None if it is none."""
    match = _BAD_LINES.fullmatch(name)
    return match and int(match[1])


def parse_segment_name(name: str) -> tuple[int, bool] | None:
    """Number of a segment and whether it is done; None if the file is no segment."""
    match = _SEGMENT.fullmatch(name)
    return match and (int(match[1]), match[2] == "done")


def folder_name(receiver_id: str, life: str) -> str:
    """Name of a life's folder, among the journals and below `incoming`."""
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
