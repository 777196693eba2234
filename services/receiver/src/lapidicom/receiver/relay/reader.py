"""Where a relay stands in a journal: cursor, position, mark and open segment, and what it reads there.

Of a living owner's journal nothing behind the mark is read. That of an ended life is read to its end.
"""

import os
from dataclasses import dataclass
from typing import Final

from lapidicom.common.journal.chunk import Chunk, Reached, read_chunk
from lapidicom.common.journal.format import BEGINNING, CURSOR, FILE_MODE, Position, encode_position
from lapidicom.common.journal.reader import JournalFolder

_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


@dataclass(slots=True)
class Counts:
    """Records by what became of them, and corrupted places of journals; only ever grows."""

    published: int = 0
    never_answered: int = 0
    lines_bad: int = 0


class Cursor:
    """Up to where everything of a journal is confirmed.

    Args:
        folder: of the journal.
        writer: who writes: two relays never share a temporary file.
    """

    def __init__(self, folder: JournalFolder, writer: str) -> None:
        self._folder = folder
        self._writer = writer
        self._written: Position | None = None

    def read(self) -> Position:
        """Where it stands; the beginning if that is unknown."""
        self._written = self._folder.position(CURSOR) or BEGINNING
        return self._written

    def write(self, position: Position) -> None:
        """Let it stand there. Need not succeed."""
        if position != self._written and write_position(self._folder, CURSOR, position, self._writer):
            self._written = position


def write_position(folder: JournalFolder, name: str, position: Position, writer: str) -> bool:
    """Replace a file by one that says `position`.

    Args:
        folder: of the journal.
        name: of the file.
        position: what it shall say.
        writer: who writes: two relays never share a temporary file.

    Returns:
        Whether it could be written; if not, the former content stays.
    """
    try:
        replace_file(folder, name, encode_position(position), writer)
    except OSError:
        return False
    return True


def replace_file(folder: JournalFolder, name: str, data: bytes, writer: str) -> None:
    """Replace a small file.

    Raises:
        OSError: it could not be written; the former content stays.
    """
    temporary = f"{folder.path}/{name}.{writer}"
    fd = folder.fs.open(temporary, _WRITE, FILE_MODE)
    try:
        folder.fs.write(fd, data)
    finally:
        folder.fs.close(fd)
    folder.fs.rename(temporary, f"{folder.path}/{name}")


class JournalReader:
    """Reads one journal, a few lines at a time.

    Args:
        folder: the journal.
        cursor: where to begin.

    Attributes:
        position: where to read on; None before the first line was reached.
        mark: the furthest that was seen.
        is_segment_over: the open segment was opened when it was over, so that its end is the end.
    """

    def __init__(self, folder: JournalFolder, cursor: Cursor) -> None:
        self._folder: Final = folder
        self._cursor: Final = cursor
        self.position: Position | None = None
        self.mark: Position | None = None
        self.is_segment_over = False
        self._fd: int | None = None
        self._durable = 0

    def look_at_mark(self) -> None:
        """See whether the mark has moved: a torn look at it changes nothing."""
        mark = self._folder.mark()
        if mark is not None and (self.mark is None or mark > self.mark):
            self.mark = mark

    def is_behind_mark(self, position: Position) -> bool:
        """Whether a record that ends there may never have been answered."""
        return self.mark is None or position > self.mark

    def locate(self, *, ended: bool) -> Position | None:
        """Find, and open, the place to read on.

        Args:
            ended: the owner's life has ended, or seems to.

        Returns:
            None if there is nothing to read (yet).
        """
        position = self._cursor.read() if self.position is None else self.position
        if not ended and (self.mark is None or position >= self.mark):
            return None
        if self._fd is None:
            self._fd = None if position == BEGINNING else self._folder.open_segment(position.segment)
            self.is_segment_over = False
        if self._fd is None:
            number = self.following(position.segment, ended=ended)
            if number is None:
                return None
            position = Position(number, 0)
            self._fd = self._folder.open_segment(number)
            if self._fd is None:
                return None
        self.position = position
        return position

    def following(self, number: int, *, ended: bool) -> int | None:
        """The segment to read after this one; of a living owner none behind that of the mark."""
        mark = self.mark
        for later, done in self._folder.segments().items():
            if later > number and not done and (ended or (mark is not None and later <= mark.segment)):
                return later
        return None

    def read(self, position: Position, most: int, *, ended: bool) -> Chunk | None:
        """Read lines at a place that was located.

        Args:
            position: the place.
            most: lines to read at most.
            ended: the owner's life has ended, or seems to.

        Returns:
            None if the segment is gone.
        """
        mark = self.mark
        over = ended or mark is None or position.segment < mark.segment
        if over and not self.is_segment_over:
            self._open_anew(position)  # its length is final now
            self.is_segment_over = True
            self._durable = self._folder.durable_end(position.segment, mark)
        limit = None if over or mark is None else mark.offset
        durable = self._durable if limit is None else limit
        chunk = self._read_chunk(position, most, limit, durable)
        if chunk is not None and (chunk.bad or chunk.reached is Reached.TORN):
            is_over = self.is_segment_over
            self._open_anew(position)
            self.is_segment_over = is_over
            chunk = self._read_chunk(position, most, limit, durable)
        return chunk

    def _open_anew(self, position: Position) -> None:
        """Open the segment anew, so that a network file system looks again at its length and content."""
        self.go_to(position)
        self._fd = self._folder.open_segment(position.segment)

    def _read_chunk(self, position: Position, most: int, limit: int | None, durable: int) -> Chunk | None:
        if self._fd is None:
            return None
        fs = self._folder.fs
        return read_chunk(fs, self._fd, position.offset, limit=limit, durable=durable, most=most)

    def go_to(self, position: Position) -> None:
        """Read on there, in a segment that is still to be opened."""
        self.close_segment()
        self.position = position

    def close_segment(self) -> None:
        """Close the open segment."""
        fd, self._fd = self._fd, None
        self.is_segment_over = False
        if fd is not None:
            self._folder.fs.close(fd)
