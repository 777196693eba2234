"""Where a relay stands in a journal: cursor, position, mark and open segment, and what it reads there.

Of a living owner's journal nothing behind the mark is read. That of an ended life is read to its end.
Where a journal was found corrupted is noted for operators (common/journal/bad_lines.py).
"""

import contextlib
import os
from dataclasses import dataclass
from typing import Final

from lapidicom.common.journal.bad_lines import look_around, noted_bad_lines
from lapidicom.common.journal.chunk import Chunk, Reached, read_chunk
from lapidicom.common.journal.format import (
    BEGINNING,
    CURSOR,
    FILE_MODE,
    BadStretch,
    Position,
    bad_lines_name,
    encode_position,
)
from lapidicom.common.journal.reader import JournalFolder
from lapidicom.receiver.journal.observer import Observer

_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
_APPEND: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


@dataclass(slots=True)
class RelayCounts:
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
            if limit is None:  # an owner that was taken for dead may have gone on meanwhile
                self.look_at_mark()
                durable = self._durable = self._folder.durable_end(position.segment, self.mark)
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


class CorruptedPlaces:
    """The corrupted places of one journal.

    Args:
        folder: the journal.
        life: its life.
        counts: each place is added there.
        observe: called for each place, once.
    """

    def __init__(self, folder: JournalFolder, life: str, *, counts: RelayCounts, observe: Observer) -> None:
        self._folder = folder
        self._life = life
        self._counts = counts
        self._observe = observe
        self._known: set[tuple[int, int]] | None = None

    def note(self, segment: int, stretch: BadStretch) -> None:
        """Note a place. Its file need not be written: then there is only the event.

        Raises:
            OSError: the journal cannot be read.
        """
        if self._known is None:
            noted = noted_bad_lines(self._folder)
            self._known = {(one.start.segment, one.start.offset + one.length) for one in noted}
        if (segment, stretch.end) in self._known:
            return
        self._known.add((segment, stretch.end))
        found = look_around(self._folder, segment, stretch)
        self._counts.lines_bad += 1
        self._observe(
            "journal_line_bad",
            life=self._life,
            segment=segment,
            offset=stretch.start,
            length=found.length,
            after=found.after and found.after.isoformat(),
            before=found.before and found.before.isoformat(),
        )
        with contextlib.suppress(OSError):
            self._append(bad_lines_name(segment), found.encode())

    def _append(self, name: str, line: bytes) -> None:
        fs = self._folder.fs
        fd = fs.open(f"{self._folder.path}/{name}", _APPEND, FILE_MODE)
        try:
            fs.write(fd, line)
        finally:
            fs.close(fd)
