"""Writes batches into the open segment of the present journal; a full or closed one is followed by the next.

An owner whose journal was deleted, because it was taken for dead, goes on with a new one.
"""

import errno
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Final

from lapidicom.common.journal.format import Position, frame
from lapidicom.common.journal.records import OpenSeries, segment_opened, series_open
from lapidicom.receiver.journal.entry import Entry, OpenSeriesList
from lapidicom.receiver.journal.folder import OwnedJournal, Segment
from lapidicom.receiver.journal.mark import Mark
from lapidicom.receiver.journal.observer import Observer

_LINE_OVERHEAD: Final = 48
"""CRC, separators, sequence number and newline of a line, at most."""


OnNext = Callable[[str, Collection[OpenSeries]], None]


class SegmentWriter:
    """Numbers and frames the records of one owner, and writes them to its journals, one after the other.

    Args:
        make_journal: makes one, of a new life; the first is made at once.
        mark: is moved in the present one, and closes it.
        receiver_id: CHRIS_RECEIVER_ID.
        limit: bytes of records in a segment, behind its list of open series.
        observe: called for each journal after the first.
        on_next: called with each life after the first, and the series that are open in it, before anything is
            written there; may raise OSError.

    Attributes:
        journal: the present one; None while none could be made, and after the end.
        last: the present one, or the one before.

    Raises:
        OSError: there is no first one.
    """

    def __init__(
        self,
        make_journal: Callable[[], OwnedJournal],
        mark: Mark,
        receiver_id: str,
        limit: int,
        *,
        observe: Observer,
        on_next: OnNext,
    ) -> None:
        self._make_journal = make_journal
        self._mark = mark
        self._receiver_id = receiver_id
        self._limit = limit
        self._observe = observe
        self._on_next = on_next
        self._is_over = False
        self._next: OwnedJournal | None = None
        """The next one, of which others do not know yet."""
        self._sequence = 0
        self._series = OpenSeriesList()
        self.last = make_journal()
        self.journal: OwnedJournal | None = self.last
        mark.begin(self.last)

    @property
    def number(self) -> int | None:
        """Of the open segment; None if there is none."""
        segment = self._segment
        return None if segment is None else segment.number

    @property
    def _segment(self) -> Segment | None:
        return None if self.journal is None else self.journal.segment

    def is_full_for(self, batch: Sequence[Entry]) -> bool:
        """Whether the open segment cannot take this batch."""
        segment = self._segment
        if segment is None:
            return False
        length = sum(entry.length() + _LINE_OVERHEAD * (len(entry.bodies) + 1) for entry in batch)
        return segment.size + length > segment.full_at

    def write(self, batch: Sequence[Entry]) -> bool:
        """Write a batch, and sync it unless it tells of refusals alone.

        Returns:
            Whether it was synced, with all that was written before; without fsync: counts as synced.

        Raises:
            OSError: it is not known to be durable; the segment must not be written again.
        """
        journal = self.journal
        if journal is None or journal.segment is None:
            self._write_new(batch)
            return True
        lines, ends = self._lines(batch, journal.segment.size)
        if lines:
            journal.write(b"".join(lines))
        is_awaited = not all(entry.refused for entry in batch)
        if is_awaited:
            journal.sync()
        self._written(batch, journal.segment, ends)
        return is_awaited

    def append(self, entry: Entry) -> bool:
        """Write one instance's entry into the open segment, without a sync.

        Args:
            entry: begins no series.

        Returns:
            False if no open segment has room for it: nothing is written then.

        Raises:
            OSError: the segment must not be written again.
        """
        journal = self.journal
        if journal is None or (segment := journal.segment) is None:
            return False
        if segment.size + entry.length() + 4 * _LINE_OVERHEAD > segment.full_at:
            return False
        journal.write(b"".join(map(self._line, entry.bodies)))
        self._series.take(entry)
        entry.end = Position(segment.number, segment.size)
        return True

    def sync(self) -> None:
        """Make what was written to the open segment durable."""
        if self.journal is not None:
            self.journal.sync()

    def beat(self) -> None:
        """Show that the owner lives.

        Raises:
            OSError: it cannot be shown, or the journal was deleted.
        """
        if self.journal is not None:
            self.journal.beat()

    def close_segment(self) -> None:
        """Write no more to the open segment; the next batch begins a new one."""
        if self.journal is not None:
            self.journal.close_segment()

    def leave(self) -> None:
        """Close the present journal, which was deleted; the next batch begins another."""
        self.journal = None
        self._mark.leave()

    def end(self) -> None:
        """Close the present journal; there will be no other."""
        self.close_segment()
        self.leave()
        if self._next is not None:
            self._next.close()
        self._is_over = True

    def _present(self) -> OwnedJournal:
        """The present journal, a new one if the last was left.

        Raises:
            OSError: none can be made; ESHUTDOWN after the end.
        """
        if self._is_over:
            raise OSError(errno.ESHUTDOWN, "closed")
        if self.journal is None:
            journal = self._next = self._next or self._make_journal()
            self._on_next(journal.life, self._series.listed())
            self.journal, self.last, self._next = journal, journal, None
            self._mark.begin(journal)
            self._observe("journal_life_began", life=journal.name)
        return self.last

    def _write_new(self, batch: Sequence[Entry]) -> None:
        """Write the batch behind the list of open series, as the beginning of a new segment."""
        journal = self._present()
        listed = self._series.listed()
        opened = segment_opened(
            journal.life,
            self._receiver_id,
            datetime.now(UTC),
            durable=journal.durable,
            open_series=len(listed),
        )
        head = [self._line(opened), *(self._line(series_open(series)) for series in listed)]
        begin = sum(map(len, head))
        lines, ends = self._lines(batch, begin)
        segment = journal.begin_segment(b"".join((*head, *lines)), begin + self._limit)
        self._written(batch, segment, ends)

    def _line(self, record: bytes) -> bytes:
        self._sequence += 1
        return frame(self._sequence, record)

    def _lines(self, batch: Sequence[Entry], offset: int) -> tuple[list[bytes], list[int]]:
        """The lines of a batch, and at which offset each entry ends."""
        lines: list[bytes] = []
        ends: list[int] = []
        for entry in batch:
            first = len(lines)
            if entry.starts is not None:
                lines.append(self._line(entry.starts))
                entry.started_as = self._sequence
            lines.extend(map(self._line, entry.bodies))
            offset += sum(map(len, lines[first:]))
            ends.append(offset)
        return lines, ends

    def _written(self, batch: Sequence[Entry], segment: Segment, ends: Sequence[int]) -> None:
        """Note where the entries are, and what they mean for the list of open series."""
        for entry, end in zip(batch, ends, strict=True):
            entry.end = Position(segment.number, end)
            self._series.take(entry)
