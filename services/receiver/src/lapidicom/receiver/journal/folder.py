"""The folder of one life, as its owner writes it: segments, mark and heartbeat. All I/O, no threads.

Whatever fails here raises OSError, and the segment concerned is never written again: after a failed
fdatasync nobody knows what the disk holds, and after a short write the last line is torn.
"""

import contextlib
import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lapidicom.common.file_system import DIRECTORY, FileSystem, sync_folder
from lapidicom.common.journal.format import (
    BEGINNING,
    COMMITTED,
    FILE_MODE,
    FOLDER_MODE,
    FOLDERS,
    FORMAT,
    HEARTBEAT,
    PARENT,
    Heartbeat,
    Position,
    encode_position,
    folder_name,
    segment_name,
)

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class Segment:
    """An open segment.

    Attributes:
        size: what was written to it without failure.
        durable: how much of that is known to be durable.
        full_at: size beyond which nothing is written to it.
    """

    __slots__ = ("durable", "fd", "full_at", "number", "size")

    def __init__(self, number: int, fd: int, full_at: int) -> None:
        self.number = number
        self.fd = fd
        self.full_at = full_at
        self.size = self.durable = 0


class OwnedJournal:
    """The journal of one life, as its owner writes it. Made once, never continued by another process.

    Args:
        file_system: the system calls.
        spool: the spool directory; exists.
        receiver_id: CHRIS_RECEIVER_ID.
        life: UUID, hex.
        parent: who started the owner: the relay of the same supervisor follows this journal.
        fsync: whether anything is synced.
        longest_silence: seconds without a heartbeat after which others may soon take the owner for dead.
        clock: seconds, also of those in which the machine slept.

    Attributes:
        segment: the open one; None if there is none.
        durable: everything in closed segments up to here is durable.

    Raises:
        OSError: the folder cannot be made durable.
    """

    def __init__(
        self,
        file_system: FileSystem,
        spool: Path,
        receiver_id: str,
        life: str,
        parent: str,
        *,
        fsync: bool,
        longest_silence: float,
        clock: Callable[[], float],
    ) -> None:
        self._fs = file_system
        self._fsync = fsync
        self._longest_silence = longest_silence
        self._clock = clock
        self._beat_at = clock()
        self.life = life
        self.name = folder_name(receiver_id, life)
        self.path = os.fspath(spool / FOLDERS[FORMAT] / self.name)
        self.segment: Segment | None = None
        self.durable = BEGINNING
        self._segments = 0
        self._beats = Heartbeat(0)
        self._make_folder(spool)
        self._folder = file_system.open(self.path, DIRECTORY)
        opened: list[int] = [self._folder]
        try:
            self._write_once(PARENT, parent.encode())
            self._heartbeat = self._create(HEARTBEAT)
            opened.append(self._heartbeat)
            self._committed = self._create(COMMITTED)
            opened.append(self._committed)
            self.beat()
            self.mark(Position(0, 0))
        except OSError:
            for fd in opened:
                self._close(fd)
            raise

    def _make_folder(self, spool: Path) -> None:
        journals = spool / FOLDERS[FORMAT]
        for parent in (journals.parent, journals):
            with contextlib.suppress(FileExistsError):
                self._fs.mkdir(os.fspath(parent), FOLDER_MODE)
        self._fs.mkdir(self.path, FOLDER_MODE)
        # Whoever made the parents: their entries must be durable before this life counts.
        for parent in (journals, journals.parent, spool, spool.parent):
            if self._fsync:
                sync_folder(self._fs, os.fspath(parent))

    def _create(self, name: str) -> int:
        return self._fs.open(f"{self.path}/{name}", _NEW, FILE_MODE)

    def _write_once(self, name: str, data: bytes) -> None:
        fd = self._create(name)
        try:
            self._fs.write(fd, data)
        finally:
            self._fs.close(fd)

    def begin_segment(self, data: bytes, full_at: int) -> Segment:
        """Make the next segment and its first lines durable under its name; the one before is closed.

        Args:
            data: the first lines.
            full_at: size beyond which nothing is written to it.

        Raises:
            OSError: there is none then: one that never counted is removed, lest a full disk fill with them.
        """
        self._segments += 1
        name = segment_name(self._segments)
        segment = self.segment = Segment(self._segments, self._create(name), full_at)
        try:
            self.write(data)
            self.sync()
            if self._fsync:
                self._fs.fsync(self._folder)
        except OSError:
            self.segment = None
            self._close(segment.fd)
            with contextlib.suppress(OSError):
                self._fs.unlink(f"{self.path}/{name}")
            raise
        return segment

    def write(self, data: bytes) -> None:
        """Append to the open segment with one call; a short write is a failure."""
        segment = self.segment
        if segment is None:
            raise OSError(errno.EBADF, "no segment is open")
        written = self._fs.write(segment.fd, data)
        if written != len(data):
            raise OSError(errno.ENOSPC, "short write")
        segment.size += written
        if not self._fsync:
            self._check_silence()

    def sync(self) -> None:
        """Make what was appended to the open segment durable, and see that readers still reach it."""
        segment = self.segment
        if self._fsync and segment is not None:
            self._fs.fdatasync(segment.fd)
            self._check(segment)
            segment.durable = segment.size

    def _check(self, segment: Segment) -> None:
        """See that the segment has a name, and that nobody can take the owner for dead.

        Raises:
            OSError: ESTALE if it was deleted: nobody will ever read it. Or others may finish this life, and
                take its series for ended.
        """
        self._check_silence()
        if self._fs.fstat(segment.fd).st_nlink == 0:
            raise OSError(errno.ESTALE, "the segment was deleted")

    def _check_silence(self) -> None:
        if self._clock() - self._beat_at > self._longest_silence:
            raise OSError(errno.ESTALE, "the heartbeat stood still for too long")

    def close_segment(self) -> None:
        """Write no more to the open segment, if there is one."""
        segment, self.segment = self.segment, None
        if segment is not None:
            self.durable = Position(segment.number, segment.durable if self._fsync else segment.size)
            self._close(segment.fd)

    def mark(self, position: Position) -> None:
        """Tell readers how far they may publish. Not synced: a reader of an ended life looks beyond it."""
        self._fs.pwrite(self._committed, encode_position(position), 0)

    def beat(self) -> None:
        """Show that the owner lives.

        Raises:
            OSError: it cannot be shown; it is too late for it, and must not be; or the journal was deleted.
        """
        self._check_silence()
        begun = self._clock()
        self._beats = Heartbeat(self._beats.count + 1)
        self._fs.pwrite(self._heartbeat, self._beats.encode(), 0)
        self._beat_at = begun
        if self._fs.fstat(self._heartbeat).st_nlink == 0:
            raise OSError(errno.ESTALE, "the journal was deleted")
        if self.segment is not None:
            self._check(self.segment)

    def close(self) -> None:
        """Close the descriptors; the folder stays for the relay."""
        for fd in (self._committed, self._heartbeat, self._folder):
            self._close(fd)

    def _close(self, fd: int) -> None:
        with contextlib.suppress(OSError):
            self._fs.close(fd)


def running_time() -> float:
    """Seconds by a clock that never goes back, and that counts the time in which the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def parent_identity() -> str:
    """Who started this process.

    Two receivers with one id on one volume tell their journals apart by it. Where it is wrong, two
    relays follow one journal and send twice; nothing is lost.
    """
    return process_identity(os.getppid())


def process_identity(pid: int) -> str:
    """A process of this host: its boot, and the process by number and start time."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        # Field 22 of /proc/<pid>/stat (proc(5)), counted behind the name, which may hold blanks.
        started = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        start = started.rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return f"unknown:{pid}"
    return f"{boot}:{pid}:{start}"
