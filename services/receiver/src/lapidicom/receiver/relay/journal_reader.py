"""Where a relay stands in a journal: position, mark and open segment, and what it reads there.

Of a living owner's journal nothing behind the mark is read. That of an ended life is read to its end.
"""

from typing import Final

from lapidicom.common.journal.format import BEGINNING, Position
from lapidicom.common.journal.reader import Chunk, JournalFolder, read_chunk
from lapidicom.receiver.relay.position_file import Cursor


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
        self._bad_at: Position | None = None

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
            # Opened anew, so that a network file system looks at its length again: it is final now.
            self.go_to(position)
            self._fd = self._folder.open_segment(position.segment)
            self.is_segment_over = True
        if self._fd is None:
            return None
        limit = None if over or mark is None else mark.offset
        return read_chunk(self._folder.fs, self._fd, position.offset, limit, most)

    def meets_bad_line(self, position: Position) -> bool:
        """A bad line stands there.

        Returns:
            Whether it was not met before.
        """
        is_new = self._bad_at != position
        self._bad_at = position
        return is_new

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
