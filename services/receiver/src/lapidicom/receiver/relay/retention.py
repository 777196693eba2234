"""Deletes what is relayed: after some days, or earlier, oldest first, before the volume is too full."""

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from lapidicom.common.file_system import FileSystem
from lapidicom.common.journal.format import (
    CLAIM,
    COMMITTED,
    CURSOR,
    FILE_MODE,
    FINISHED,
    HEARTBEAT,
    PARENT,
    parse_bad_lines_name,
    parse_segment_name,
    segment_name,
)
from lapidicom.common.journal.reader import JournalFolder
from lapidicom.receiver.journal.observer import Observer

_DAY: Final = 86_400.0
_BLOCK: Final = 1 << 20
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC

_ROOM: Final = 1.2
"""Deleting begins below CHRIS_MIN_FREE_SPACE times this: before an instance is refused, and above
the point from which refused ones are accepted again (plus 10 %)."""


@dataclass(frozen=True, slots=True)
class DeletionCandidate:
    """A journal of which something may be deleted.

    Attributes:
        folder: of the journal.
        relayed: of a finished life: the last segment, and its length, that are relayed. What an owner
            that was only paused has written since is not.
    """

    folder: JournalFolder
    relayed: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class _Relayed:
    """A segment that is relayed to its end."""

    written: float
    folder: JournalFolder
    name: str
    size: int


class Retention:
    """Decides what is old enough, and deletes it.

    Args:
        file_system: the system calls.
        files_root: any folder of the volume.
        spool: the spool directory.
        days: CHRIS_JOURNAL_DAYS.
        min_free_space: CHRIS_MIN_FREE_SPACE, bytes.
        now: seconds since the epoch, as the volume's time stamps count them.
        observe: called with each event.
    """

    def __init__(
        self,
        file_system: FileSystem,
        files_root: os.PathLike[str],
        spool: os.PathLike[str],
        *,
        days: float,
        min_free_space: int,
        now: Callable[[], float],
        observe: Observer,
    ) -> None:
        self._fs = file_system
        self._root = os.fspath(files_root)
        self._incoming = f"{os.fspath(spool)}/incoming"
        self._seconds = days * _DAY
        self._wanted = int(min_free_space * _ROOM)
        self._now = now
        self._observe = observe

    def run(self, candidates: Sequence[DeletionCandidate]) -> None:
        """Delete what may be deleted now.

        Raises:
            OSError: the volume failed; the next run tries again.
        """
        limit = self._now() - self._seconds
        relayed = sorted(
            (one for candidate in candidates for one in self._relayed(candidate)), key=lambda one: one.written
        )
        for one in relayed:
            if one.written < limit:
                self._delete(one, "old")
            elif self._free() < self._wanted:
                self._delete(one, "space")
        for candidate in candidates:
            if candidate.relayed is not None:
                self._remove_folder(candidate.folder, limit)

    def _free(self) -> int:
        found = self._fs.statvfs(self._root)
        return found.f_bavail * found.f_frsize

    def _relayed(self, candidate: DeletionCandidate) -> list[_Relayed]:
        folder = candidate.folder
        found = []
        with contextlib.suppress(FileNotFoundError):
            for name in folder.names():
                segment = parse_segment_name(name)
                if segment is None:
                    continue
                number, done = segment
                status = self._fs.stat(f"{folder.path}/{name}")
                if (
                    done
                    or (candidate.relayed is not None and number < candidate.relayed[0])
                    or (number, status.st_size) == candidate.relayed
                ):
                    found.append(_Relayed(status.st_mtime, folder, name, status.st_size))
        return found

    def _delete(self, one: _Relayed, why: str) -> None:
        path = f"{one.folder.path}/{one.name}"
        fd = self._fs.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._fs.unlink(path)
            self._save_what_came_late(one, fd)
        finally:
            self._fs.close(fd)
        self._observe("journal_segment_deleted", segment=f"{one.folder.name}/{one.name}", reason=why)

    def _save_what_came_late(self, one: _Relayed, fd: int) -> None:
        """What an owner, believed dead, wrote and answered just before its segment lost its name.

        It becomes a segment of its own, behind the deleted one. Whatever the owner writes later it does
        not answer: it sees that its segment has no link.
        """
        grown = self._fs.fstat(fd).st_size - one.size
        segment = parse_segment_name(one.name)
        if grown <= 0 or segment is None:
            return
        copy = self._new_segment(one.folder, segment[0] + 1)
        try:
            offset = one.size
            while block := self._fs.pread(fd, _BLOCK, offset):
                self._fs.write(copy, block)
                offset += len(block)
            self._fs.fsync(copy)
        finally:
            self._fs.close(copy)

    def _new_segment(self, folder: JournalFolder, number: int) -> int:
        """A segment with the first free number: never one that the owner has made meanwhile."""
        while True:
            try:
                return self._fs.open(f"{folder.path}/{segment_name(number)}", _NEW, FILE_MODE)
            except FileExistsError:
                number += 1

    def _remove_folder(self, folder: JournalFolder, limit: float) -> None:
        """Remove the folder of a life without segments; one with records set aside stays."""
        try:
            names = folder.names()
            beat = self._fs.stat(f"{folder.path}/{HEARTBEAT}").st_mtime if HEARTBEAT in names else 0.0
        except FileNotFoundError:
            return
        if beat >= limit or any(parse_segment_name(name) or name.endswith(".aside") for name in names):
            return
        ours = (CURSOR, FINISHED, CLAIM, COMMITTED, PARENT, HEARTBEAT)
        for name in sorted(names, key=lambda name: name.partition(".")[0] == HEARTBEAT):
            if name.partition(".")[0] in ours or parse_bad_lines_name(name) is not None:
                self._fs.unlink(f"{folder.path}/{name}")
        with contextlib.suppress(OSError):
            self._fs.rmdir(f"{self._incoming}/{folder.name}")
        with contextlib.suppress(OSError):
            self._fs.rmdir(folder.path)
            self._observe("journal_deleted", life=folder.name)
