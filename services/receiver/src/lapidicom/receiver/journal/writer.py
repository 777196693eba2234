"""The journal as association threads use it: append, wait, settle.

With fsync one committer thread makes all that waits durable at once; without, each append writes
its own records inline, for a hand-over would cost more than the write.
"""

import threading
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Self

import structlog

from lapidicom.common.file_system import FileSystem
from lapidicom.common.journal.format import MAX_BODY, MAX_LINE, SEGMENT_LIMIT
from lapidicom.common.journal.records import SeriesKey
from lapidicom.common.volume import NO_SPACE
from lapidicom.receiver.errors import JournalUnavailable
from lapidicom.receiver.journal.commit import GroupCommit
from lapidicom.receiver.journal.entry import EndEntry, Entry
from lapidicom.receiver.journal.folder import OwnedJournal, parent_identity, running_time
from lapidicom.receiver.journal.observer import Observer
from lapidicom.receiver.journal.segment import OnNext

__all__ = ["Entry", "Journal", "SeriesKey"]

_CLOSE_SECONDS: Final = 10.0
_MAX_END_RECORD: Final = MAX_LINE - 64
"""An end record is that of a beginning, with counts and a trace."""


class _Awaited(Entry):
    """An entry for whose durability a thread waits: on a lock held until then, the cheapest way."""

    __slots__ = ("_lock",)

    def __init__(self, bodies: Sequence[bytes], series: SeriesKey | None, starts: bytes | None) -> None:
        super().__init__(bodies, series=series, starts=starts)
        self._lock = threading.Lock()
        self._lock.acquire()

    def released(self) -> None:
        self._lock.release()

    def wait(self) -> None:
        with self._lock:
            return


class Journal:
    """The journal of this listener. `open` makes one; all methods may be called by any thread."""

    def __init__(
        self, group: GroupCommit, *, fsync: bool, heartbeat: float, takes_refusals: Callable[[], bool]
    ) -> None:
        self._group = group
        self._fsync = fsync
        self._takes_refusals = takes_refusals
        self._heartbeat = heartbeat
        self._closed = threading.Event()
        self._wake = threading.Lock()
        self._wake.acquire()
        self._idle_lock = threading.Lock()
        self._idle = True
        self._threads = [threading.Thread(target=self._beat, name="journal-heartbeat", daemon=True)]
        if fsync:
            self._threads.append(threading.Thread(target=self._commit, name="journal-commit", daemon=True))
        for thread in self._threads:
            thread.start()

    @classmethod
    def open(
        cls,
        spool: Path,
        receiver_id: str,
        *,
        fsync: bool,
        heartbeat: float,
        takeover: float,
        file_system: FileSystem,
        segment_limit: int = SEGMENT_LIMIT,
        life: str | None = None,
        parent: str | None = None,
        observe: Observer | None = None,
        on_next: OnNext = lambda _life, _series: None,
        takes_refusals: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = running_time,
    ) -> Self:
        """Begin a new life: a folder of its own, and a first segment, durable before this returns.

        Args:
            spool: the spool directory; exists.
            receiver_id: CHRIS_RECEIVER_ID.
            fsync: CHRIS_FSYNC.
            heartbeat: seconds between two heartbeats.
            takeover: seconds without one after which others take the owner for dead: after half of them it
                begins a new life.
            file_system: the system calls.
            segment_limit: bytes of records in a segment.
            life: UUID in hex of the first life, if something else bears it already; a new one, if not.
            parent: whose relay follows this journal; the parent process, if not given.
            observe: called with each event; the log, if not given.
            on_next: called with the life and its open series when another one begins (the owner was paused
                for too long), by the thread that found out; if it raises OSError, nothing is written there.
            takes_refusals: whether records of refusals may be written now: a sender that is refused for
                want of space must not take the last of it. They are counted, and reported with a heartbeat.
            clock: seconds; see `running_time`.

        Raises:
            JournalUnavailable: it could not be made.
        """
        whose = parent_identity() if parent is None else parent
        given = [] if life is None else [life]

        def make_journal() -> OwnedJournal:
            own = given.pop() if given else uuid.uuid4().hex
            return OwnedJournal(
                file_system,
                spool,
                receiver_id,
                own,
                whose,
                fsync=fsync,
                longest_silence=takeover / 2,
                clock=clock,
            )

        try:
            group = GroupCommit(
                make_journal,
                receiver_id,
                observe=observe or structlog.get_logger(__name__).warning,
                on_next=on_next,
                segment_limit=segment_limit,
            )
        except OSError as error:
            raise _unavailable(error) from error
        return cls(group, fsync=fsync, heartbeat=heartbeat, takes_refusals=takes_refusals)

    @property
    def life(self) -> str:
        """The present life, a UUID in hex; changes only if others may have taken its owner for dead."""
        return self._group.life_id

    @property
    def folder(self) -> str:
        """Name of the present life's folder, of the last one after the end."""
        return self._group.folder

    @property
    def fault(self) -> str | None:
        """Why the journal takes no writes; None if it does. Looked at again with each heartbeat."""
        return self._group.fault

    @property
    def lacks_space(self) -> bool:
        """Whether it takes no writes because no space is left on the volume."""
        return self._group.fault is not None and self._group.lacks_space

    def append(
        self, records: Sequence[bytes], *, series: SeriesKey | None = None, starts: bytes | None = None
    ) -> Entry:
        """Hand the records of one stored instance over; they will be written in the order of the calls.

        Args:
            records: as `common.journal.records` makes them.
            series: the instance's series, if it is open or opened by `starts`.
            starts: the series_started record that opens `series`: give it until an entry
                that held it was durable.

        Raises:
            JournalUnavailable: a record that no reader would take (over MAX_BODY, or with a newline).
        """
        _check(records, MAX_BODY)
        if starts is not None:
            _check((starts,), MAX_BODY)
        if self._fsync:
            entry: Entry = _Awaited(records, series, starts)
            self._submit(entry)
        else:
            entry = Entry(records, series=series, starts=starts)
            self._group.commit_instance(entry)
        return entry

    def wait(self, entry: Entry) -> None:
        """Return once the entry is durable.

        Raises:
            JournalUnavailable: it could not be made durable.
        """
        if isinstance(entry, _Awaited):
            entry.wait()
        if entry.failure is not None:
            raise _unavailable(entry.failure) from entry.failure

    def settle(self, entry: Entry) -> None:
        """Let the mark pass the entry: its folder is synced, or that was given up.

        Every entry must be settled, whatever happened: the mark stays before one that is not.
        """
        self._group.settle(entry)

    def append_quietly(self, records: Sequence[bytes], *, series: SeriesKey | None = None) -> None:
        """Hand over what nobody waits for and what promises nothing, such as a refusal. Never raises.

        What cannot be written is lost with its batch; it is left out while too much waits or the volume takes
        no instances. The event `refusals_not_recorded` gives the number.

        Args:
            records: as `common.journal.records` makes them.
            series: whose refusals these are, if it is open.
        """
        if not self._takes_refusals():
            self._group.leave_out_refusal()
            return
        self._hand_over(Entry(records, series=series, refused=True))

    def end(
        self,
        records: Sequence[bytes],
        series: Sequence[SeriesKey],
        on_durable: Callable[[], None] = lambda: None,
    ) -> None:
        """Hand over the records that end series; nobody waits for them. Never raises.

        Those that cannot be written are kept in memory until a later batch takes them.

        Args:
            records: as `common.journal.records` makes them.
            series: those that they end.
            on_durable: called once they are durable, by any thread; must not wait.
        """
        self._hand_over(EndEntry(records, series, on_durable))

    def _hand_over(self, entry: Entry) -> None:
        try:
            _check(entry.bodies, _MAX_END_RECORD)
        except JournalUnavailable as error:
            structlog.get_logger(__name__).error("journal_record_refused", reason=error.comment)
            return
        if self._fsync:
            self._submit(entry)
        else:
            self._group.submit(entry)
            self._group.commit_unless_busy()

    def close(self) -> None:
        """Commit what waits and end this life; the relay finishes its journal."""
        self._closed.set()
        self._wake_committer()
        for thread in self._threads:
            thread.join(_CLOSE_SECONDS)
        self._group.close()

    def _submit(self, entry: Entry) -> None:
        self._group.submit(entry)
        self._wake_committer()
        if self._closed.is_set():
            self._group.commit_waiting()

    def _wake_committer(self) -> None:
        with self._idle_lock:
            if self._idle:
                self._idle = False
                self._wake.release()

    def _commit(self) -> None:
        while not self._closed.is_set():
            self._wake.acquire()
            with self._idle_lock:
                self._idle = True
            while self._commit_waiting():
                pass

    def _commit_waiting(self) -> bool:
        try:
            return self._group.commit_waiting()
        except Exception:  # noqa: BLE001 (this thread must outlive any fault: all associations wait for it)
            structlog.get_logger(__name__).exception("journal_commit_broken")
            return True

    def _beat(self) -> None:
        while not self._closed.wait(self._heartbeat):
            try:
                self._group.beat()
            except Exception:  # noqa: BLE001 (an owner without heartbeat would be taken for dead)
                structlog.get_logger(__name__).exception("journal_heartbeat_broken")


def _check(records: Sequence[bytes], most: int) -> None:
    for record in records:
        if len(record) > most or b"\n" in record:
            raise JournalUnavailable("record too long or malformed")


def _unavailable(error: OSError) -> JournalUnavailable:
    return JournalUnavailable(
        f"journal: {error.strerror or type(error).__name__}", is_shared=error.errno in NO_SPACE
    )
