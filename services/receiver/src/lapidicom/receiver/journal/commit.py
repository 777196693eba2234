"""Group commit: what waits becomes one write and one fdatasync. No threads of its own (see writer.py).

A batch that fails closes its segment for ever; the next batch opens a new one. A journal whose
segment has lost its name (somebody took this owner for dead, finished its journal and deleted it)
is left, and the next batch begins a new life.
"""

import errno
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

from lapidicom.receiver.journal.format import SEGMENT_LIMIT, Position, frame
from lapidicom.receiver.journal.life import GONE, Life, Segment
from lapidicom.receiver.journal.mark import Entry, Progress
from lapidicom.receiver.journal.records import OpenSeries, SeriesKey, segment_opened, series_fields_of

_LINE_OVERHEAD: Final = 48
"""CRC, blank, braces, sequence number and newline of a line, at most."""

_MOST_KEPT_ENTRIES: Final = 10_000
_MOST_KEPT_BYTES: Final = 8 << 20


class Observer(Protocol):
    """Told of each event by its stable name; a logger's method, in the product."""

    def __call__(self, event: str, /, **fields: object) -> object:
        """Take note."""


class GroupCommit:
    """One owner's journal: its life, its open segment, its open series, and what waits.

    Args:
        make_life: makes a new life.
        receiver_id: CHRIS_RECEIVER_ID.
        observe: told of failures.
        on_life: told the folder name of each life after the first.
        segment_limit: bytes of a segment.

    Attributes:
        life: the present one; None while none could be made, and after the end.
        life_id: of the present or last one.
        folder: name of its folder.
        fault: why the last batch failed; None if it did not.

    Raises:
        OSError: there is no first life with a durable segment.
    """

    def __init__(
        self,
        make_life: Callable[[], Life],
        receiver_id: str,
        *,
        observe: Observer,
        on_life: Callable[[str], None],
        segment_limit: int = SEGMENT_LIMIT,
    ) -> None:
        self._make_life = make_life
        self._receiver_id = receiver_id
        self._observe = observe
        self._on_life = on_life
        self._limit = segment_limit
        self._waiting: list[Entry] = []
        self._waiting_lock = threading.Lock()
        self._commit_lock = threading.Lock()
        self._mark_lock = threading.Lock()
        self._sequence = 0
        self._series: dict[SeriesKey, OpenSeries] = {}
        self._segment: Segment | None = None
        self._unsynced: list[Entry] = []
        self._kept: list[Entry] = []
        self._mark_due: Position | None = None
        self._closed = False
        self.fault: str | None = None
        self.life: Life | None = make_life()
        self.life_id, self.folder = self.life.life, self.life.name
        self._progress = Progress()
        self._write(())

    @property
    def needs_probe(self) -> bool:
        """Whether something is left to do although nothing waits."""
        return self.fault is not None or bool(self._kept) or self._mark_due is not None

    def submit(self, entry: Entry) -> None:
        """Let the entry wait for the next `commit_waiting`."""
        with self._waiting_lock:
            self._waiting.append(entry)

    def commit_waiting(self) -> bool:
        """Commit all that waits as one batch.

        Returns:
            Whether anything waited.
        """
        with self._waiting_lock:
            batch, self._waiting = self._waiting, []
        if batch:
            with self._commit_lock:
                self._commit(batch)
        return bool(batch)

    def commit(self, *batch: Entry) -> None:
        """Commit these now. Without any: find out whether the journal takes writes again."""
        with self._commit_lock:
            self._commit(batch)

    def commit_instance(self, entry: Entry) -> None:
        """Commit one instance's entry now, without syncs; the shortest way for the most frequent case."""
        with self._commit_lock:
            segment, life = self._segment, self.life
            series = None if entry.series is None else self._series.get(entry.series)
            if (
                segment is None
                or life is None
                or entry.starts is not None
                or self.needs_probe
                or self._progress
                or segment.size + entry.length() + 4 * _LINE_OVERHEAD > self._limit
            ):
                self._commit((entry,))
                return
            data = b"".join(map(self._line, entry.bodies))
            try:
                life.write(segment, data)
            except OSError as error:
                self._fail((entry,), error)
                return
            if series is not None:
                series.received += 1
            entry.end = Position(segment.number, segment.size)
            entry.durable = True
            with self._mark_lock:
                self._set_mark(life, entry.end)

    def settle(self, entry: Entry) -> None:
        """The sync of the entry's folder is done or given up: the mark may pass it."""
        with self._mark_lock:
            entry.settled = True
            self._move_mark()

    def beat(self) -> None:
        """Show that the owner lives; leave a journal that was deleted; finish what is left over."""
        with self._commit_lock:
            if self.life is not None:
                try:
                    self.life.beat()
                    if self._segment is not None:
                        self.life.check(self._segment)
                except OSError as error:
                    if error.errno in GONE:
                        self._fail((), error)
            if self.needs_probe:
                self._commit(())
        with self._mark_lock:
            self._move_mark()

    def close(self) -> None:
        """Commit what waits, move the mark as far as it may go, and close."""
        self.commit_waiting()
        with self._commit_lock:
            if self._unsynced or self._kept:
                self._commit((Entry((), ends=()),))
            self._close_segment()
            self._leave_life()
            self._closed = True

    def _commit(self, batch: Sequence[Entry]) -> None:
        if self._kept:
            batch = (*self._kept, *batch)
            self._kept = []
        try:
            self._write(batch)
        except OSError as error:
            self._fail(batch, error)
            return
        finally:
            for entry in batch:
                if entry.ends is None and entry.end is None and entry.failure is None:
                    # Only a fault of ours leads here; nobody may wait for ever because of it.
                    entry.failure = OSError("the record could not be written")
                    entry.released()
        self.fault = None

    def _write(self, batch: Sequence[Entry]) -> None:
        segment = self._segment
        if segment is not None:
            length = sum(entry.length() + _LINE_OVERHEAD * (len(entry.bodies) + 1) for entry in batch)
            if segment.size + length > self._limit:
                self._rotate(segment)
                segment = None
        if segment is None:
            self._write_new(batch)
            return
        life = self._present_life()
        lines, ends = self._lines(batch, segment.size)
        if lines:
            life.write(segment, b"".join(lines))
        if batch and all(entry.refused for entry in batch):
            self._written(batch, segment, ends)
            self._unsynced.extend(batch)
        elif batch:
            life.sync(segment)
            self._written(batch, segment, ends)
            self._durable(batch)

    def _rotate(self, segment: Segment) -> None:
        if self._unsynced:
            self._present_life().sync(segment)
            self._durable(())
        self._close_segment()

    def _write_new(self, batch: Sequence[Entry]) -> None:
        """Write the batch behind the list of open series, as the beginning of a new segment."""
        life = self._present_life()
        header = self._line(
            segment_opened(life.life, self._receiver_id, datetime.now(UTC), self._series.values())
        )
        segment = life.open_segment()
        try:
            lines, ends = self._lines(batch, len(header))
            life.write(segment, b"".join((header, *lines)))
            life.sync_new(segment)
        except OSError:
            life.discard_segment(segment)
            raise
        self._segment = segment
        self._written(batch, segment, ends)
        self._durable(batch)

    def _present_life(self) -> Life:
        if self._closed:
            raise OSError(errno.ESHUTDOWN, "closed")
        if self.life is None:
            self.life = self._make_life()
            self.life_id, self.folder = self.life.life, self.life.name
            with self._mark_lock:
                self._progress = Progress()
                self._mark_due = None
            self._observe("journal_life_began", life=self.life.name)
            self._on_life(self.life.name)
        return self.life

    def _line(self, body: bytes) -> bytes:
        self._sequence += 1
        return frame(self._sequence, body)

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
            key = entry.series
            if key is not None:
                if entry.starts is not None and key not in self._series:
                    self._series[key] = OpenSeries(entry.started_as, series_fields_of(entry.starts))
                series = self._series.get(key)
                if series is not None:
                    if entry.refused:
                        series.refused += 1
                    else:
                        series.received += 1
            for ended in entry.ends or ():
                self._series.pop(ended, None)

    def _durable(self, batch: Sequence[Entry]) -> None:
        """A sync has succeeded: whoever waits may go on, and the mark may move."""
        with self._mark_lock:
            for entry in (*self._unsynced, *batch):
                entry.durable = True
                self._progress.add(entry)
            self._unsynced.clear()
            self._move_mark()
        for entry in batch:
            entry.released()

    def _move_mark(self) -> None:
        position = self._progress.advance() or self._mark_due
        life = self.life
        if position is not None and life is not None:
            self._set_mark(life, position)

    def _set_mark(self, life: Life, position: Position) -> None:
        try:
            life.mark(position)
        except OSError as error:
            if self._mark_due is None:
                self._observe("journal_mark_not_moved", life=life.name, errno=error.errno)
            self._mark_due = position
        else:
            self._mark_due = None

    def _fail(self, batch: Sequence[Entry], error: OSError) -> None:
        self.fault = f"the journal takes no writes ({error.strerror or type(error).__name__})"
        life = self.life
        self._observe(
            "journal_write_failed",
            life=None if life is None else life.name,
            segment=None if self._segment is None else self._segment.number,
            errno=error.errno,
            entries=len(batch),
        )
        self._close_segment()
        self._unsynced.clear()
        if error.errno in GONE:
            self._leave_life()
        self._keep([entry for entry in batch if entry.ends is not None])
        for entry in batch:
            if entry.ends is None:
                entry.failure = error
                entry.released()

    def _leave_life(self) -> None:
        # Under the lock of the mark: nobody may write to a descriptor that is closed, or another's by now.
        with self._mark_lock:
            life, self.life = self.life, None
            if life is not None:
                life.close()

    def _keep(self, entries: list[Entry]) -> None:
        """Keep end records for a later batch; over the bound the newest are given up.

        Their series then stay in the list of open series, and the relay ends them with this life.
        """
        size = 0
        for number, entry in enumerate(entries):
            size += entry.length()
            if number >= _MOST_KEPT_ENTRIES or size > _MOST_KEPT_BYTES:
                self._observe("journal_end_records_given_up", entries=len(entries) - number)
                break
            self._kept.append(entry)

    def _close_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None and self.life is not None:
            self.life.close_segment(segment)
