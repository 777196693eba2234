"""Group commit: what waits becomes one write and one fdatasync. No threads of its own (see writer.py).

A batch that fails closes its segment for ever; the next batch opens a new one. A life that somebody may
have taken for ended (its heartbeat stood still for too long, or its journal was deleted) is left, and the
batch begins a new life.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Final

from lapidicom.common.file_system import GONE
from lapidicom.common.journal.format import SEGMENT_LIMIT
from lapidicom.common.volume import NO_SPACE
from lapidicom.receiver.journal.entry import Entry
from lapidicom.receiver.journal.folder import OwnedJournal
from lapidicom.receiver.journal.mark import Mark
from lapidicom.receiver.journal.observer import Observer
from lapidicom.receiver.journal.segment import OnNext, SegmentWriter

_MOST_REFUSALS: Final = 4096
"""Refusals that wait while the disk does not answer. Nobody waits for their records: more are left out."""


class GroupCommit:
    """One owner's journal: what waits for it, and what becomes of each batch.

    Args:
        make_journal: makes one, of a new life.
        receiver_id: CHRIS_RECEIVER_ID.
        observe: called with each failure.
        on_next: called with each life after the first, see `SegmentWriter`.
        segment_limit: bytes of records in a segment.

    Attributes:
        fault: why the last batch failed; None if it did not.
        lacks_space: the last batch that failed found no space on the volume.

    Raises:
        OSError: there is no first journal with a durable segment.
    """

    def __init__(
        self,
        make_journal: Callable[[], OwnedJournal],
        receiver_id: str,
        *,
        observe: Observer,
        on_next: OnNext,
        segment_limit: int = SEGMENT_LIMIT,
    ) -> None:
        self._observe = observe
        self._waiting: list[Entry] = []
        self._waiting_lock = threading.Lock()
        self._commit_lock = threading.Lock()
        self._refusals_waiting = 0
        self._refusals_left_out = 0
        self._unsynced: Entry | None = None
        """The last of the refusals that were written since the last sync: they need no more than the mark."""
        self._unwritten_ends: list[Entry] = []
        """End records whose batch failed: each batch takes them along until one succeeds."""
        self._mark = Mark(observe)
        self._segments = SegmentWriter(
            make_journal, self._mark, receiver_id, segment_limit, observe=observe, on_next=on_next
        )
        self.fault: str | None = None
        self.lacks_space = False
        self._write(())

    @property
    def life_id(self) -> str:
        """Of the present or last life."""
        return self._segments.last.life

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return self._segments.last.name

    @property
    def needs_probe(self) -> bool:
        """Whether something is left to do although nothing waits."""
        return self.fault is not None or bool(self._unwritten_ends) or self._mark.due is not None

    def submit(self, entry: Entry) -> None:
        """Let the entry wait for the next batch. Of what promises nothing, only so much may wait."""
        with self._waiting_lock:
            if entry.refused:
                if self._refusals_waiting >= _MOST_REFUSALS:
                    self._refusals_left_out += 1
                    return
                self._refusals_waiting += 1
            self._waiting.append(entry)

    def leave_out_refusal(self) -> None:
        """Count a refusal of which no record is to be written."""
        with self._waiting_lock:
            self._refusals_left_out += 1

    def commit_waiting(self) -> bool:
        """Commit all that waits as one batch.

        Returns:
            Whether anything waited.
        """
        if not self._waiting:
            return False
        with self._commit_lock:
            batch = self._take_waiting()
            if batch:
                self._commit(batch)
        return bool(batch)

    def commit_unless_busy(self) -> None:
        """Commit what waits, unless another thread commits, which then does so before it leaves."""
        while self._waiting and self._commit_lock.acquire(blocking=False):
            try:
                self._commit(self._take_waiting())
            finally:
                self._commit_lock.release()

    def commit_instance(self, entry: Entry) -> None:
        """Commit one instance's entry now, without syncs; the shortest way for the most frequent case."""
        with self._commit_lock:
            if entry.starts is not None or self._waiting or self.needs_probe or not self._append(entry):
                self._commit((*self._take_waiting(), entry))
        if self._waiting:
            self.commit_unless_busy()

    def _append(self, entry: Entry) -> bool:
        """Write the entry into the open segment; False if that has no room for it."""
        try:
            if not self._segments.append(entry):
                return False
        except OSError as error:
            self._close_segment(error, entries=1)
            if error.errno in GONE:
                return False
            self._refuse((entry,), error)
            return True
        self._unsynced = None  # stands before this entry: the mark must not move back to it
        self._mark.note(entry)
        return True

    def _take_waiting(self) -> list[Entry]:
        with self._waiting_lock:
            batch, self._waiting = self._waiting, []
            self._refusals_waiting = 0
        return batch

    def settle(self, entry: Entry) -> None:
        """The sync of the entry's folder is done or given up: the mark may pass it."""
        self._mark.settle(entry)

    def beat(self) -> None:
        """Show that the owner lives; leave a journal that was deleted; finish what is left over."""
        with self._waiting_lock:
            left_out, self._refusals_left_out = self._refusals_left_out, 0
        if left_out:
            self._observe("refusals_not_recorded", count=left_out)
        with self._commit_lock:
            try:
                self._segments.beat()
            except OSError as error:
                if error.errno in GONE:
                    self._close_segment(error, entries=0)
            if self.needs_probe or self._segments.journal is None:
                self._commit(())
        self.commit_unless_busy()
        self._mark.move()

    def close(self) -> None:
        """Commit what waits, move the mark as far as it may go, and close."""
        self.commit_waiting()
        with self._commit_lock:
            if self._unsynced is not None or self._unwritten_ends:
                self._commit((Entry((), ends=()),))
            self._segments.end()

    def _commit(self, batch: Sequence[Entry]) -> None:
        if self._unwritten_ends:
            batch = (*self._unwritten_ends, *batch)
            self._unwritten_ends = []
        try:
            self._write_somewhere(batch)
        except OSError as error:
            self._close_segment(error, entries=len(batch))
            self._refuse(batch, error)
            return
        finally:
            for entry in batch:
                if entry.ends is None and entry.end is None and entry.failure is None:
                    # Only a fault of ours leads here; nobody may wait for ever because of it.
                    entry.failure = OSError("the record could not be written")
                    entry.released()
        self.fault = None

    def _write_somewhere(self, batch: Sequence[Entry]) -> None:
        try:
            self._write(batch)
        except OSError as error:
            if error.errno not in GONE:
                raise
            self._close_segment(error, entries=len(batch))
            self._write(batch)

    def _write(self, batch: Sequence[Entry]) -> None:
        if self._segments.is_full_for(batch):
            if self._unsynced is not None:
                self._segments.sync()
                self._durable(())
            self._segments.close_segment()
        if self._segments.write(batch):
            self._durable(batch)
        elif batch:
            self._unsynced = batch[-1]

    def _durable(self, batch: Sequence[Entry]) -> None:
        """A sync has succeeded: whoever waits may go on, and the mark may move.

        Ends come first: the open markers of series that have ended are gone before that is published.
        """
        for entry in batch:
            if entry.ends is not None:
                entry.released()
        self._mark.add(batch if self._unsynced is None else (self._unsynced, *batch))
        self._unsynced = None
        for entry in batch:
            if entry.ends is None:
                entry.released()

    def _close_segment(self, error: OSError, *, entries: int) -> None:
        """Write no more behind a write that failed, nor to a life that may be over for others."""
        journal = self._segments.journal
        self._observe(
            "journal_write_failed",
            life=None if journal is None else journal.name,
            segment=self._segments.number,
            errno=error.errno,
            entries=entries,
        )
        self._segments.close_segment()
        self._unsynced = None
        if error.errno in GONE:
            self._segments.leave()

    def _refuse(self, batch: Sequence[Entry], error: OSError) -> None:
        """Let go of a batch that could not be written, but for the ends of series."""
        self.fault = f"the journal takes no writes ({error.strerror or type(error).__name__})"
        self.lacks_space = error.errno in NO_SPACE
        self._unwritten_ends += [entry for entry in batch if entry.ends is not None and entry.bodies]
        for entry in batch:
            if entry.ends is None:
                entry.failure = error
                entry.released()
