"""Records of an ended life behind its mark: they may or may not have been answered.

Whose file is missing was not answered, and is passed over. For all others file and folders are made
durable before their message is published: registration is by path, so it does no harm if the SCU has no
success, or if another copy of the instance has replaced the file since.

On a network file system a file that is there may seem to be missing for as long as a directory is cached. So
it is looked for twice, further apart than that; meanwhile this journal waits, and others do not.

Should the owner live after all, it may still answer what was passed over: the relay then goes back to the
first of these.
"""

import errno
import os
import posixpath
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from lapidicom.common.file_system import FileSystem, sync_folder
from lapidicom.common.journal.format import Position
from lapidicom.common.journal.records import INSTANCE_RECEIVED, Record
from lapidicom.common.open_series import count_files
from lapidicom.receiver.journal.observer import Observer
from lapidicom.receiver.relay.reader import RelayCounts

_MISSING: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})


class StoredFiles:
    """The files below CUBE's storage root.

    Args:
        file_system: the system calls.
        files_root: CHRIS_FILES_ROOT.
        directory_cache: for how many seconds a file may be missing here that another client has made.
    """

    def __init__(self, file_system: FileSystem, files_root: Path, *, directory_cache: float = 0.0) -> None:
        self.looks_apart: Final = directory_cache and directory_cache + 1.0
        """Seconds between the two looks after which a file that is missing at both is missing."""
        self._fs = file_system
        self._root = os.fspath(files_root)

    def make_durable(self, path: str, synced: set[str]) -> bool:
        """Make a file, its folder and all folders above it up to the root durable.

        Args:
            path: relative to the root.
            synced: folders that were synced before, not to be synced again.

        Returns:
            False if the file is missing.

        Raises:
            OSError: a sync failed, or the volume cannot be read.
        """
        if not _is_below(path):
            return False
        try:
            fd = self._fs.open(
                f"{self._root}/{path}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            )
        except OSError as error:
            if error.errno in _MISSING:
                return False
            raise
        try:
            if not stat.S_ISREG(self._fs.fstat(fd).st_mode):
                return False
            self._fs.fsync(fd)
        finally:
            self._fs.close(fd)
        self._sync_folders(posixpath.dirname(path), synced)
        return True

    def count(self, folder: str) -> int | None:
        """How many files a series folder, relative to the root, holds; None if it cannot be read."""
        try:
            return count_files(f"{self._root}/{folder}", self._fs) if _is_below(folder) else None
        except OSError:
            return None

    def _sync_folders(self, folder: str, synced: set[str]) -> None:
        while folder not in synced:
            sync_folder(self._fs, f"{self._root}/{folder}")
            synced.add(folder)
            if not folder:
                return
            folder = posixpath.dirname(folder)


def _is_below(path: str) -> bool:
    """Whether a relative path leads to something below where it begins."""
    return posixpath.normpath(path) == path and not path.startswith(("/", "../")) and path not in (".", "..")


class RecordsBehindMark:
    """What is known of those of one journal.

    Args:
        life: of the journal.
        files: the stored files.
        clock: monotonic seconds.
        counts: what is passed over is added there.
        observe: called for each record that is passed over.

    Attributes:
        never_answered: sequence numbers of the records that were passed over.
    """

    def __init__(
        self,
        life: str,
        files: StoredFiles,
        *,
        clock: Callable[[], float],
        counts: RelayCounts,
        observe: Observer,
    ) -> None:
        self._life = life
        self._files = files
        self._clock = clock
        self._counts = counts
        self._observe = observe
        self._missing_since: dict[int, float] = {}
        self._waits_until = 0.0
        self.never_answered: set[int] = set()
        self._first_skipped: Position | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether it is too early to look again for a file that was missing."""
        return self._clock() < self._waits_until

    @property
    def has_skipped(self) -> bool:
        """Whether any record was passed over."""
        return self._first_skipped is not None

    def check(self, records: Sequence[Record]) -> frozenset[int]:
        """Make the files of records durable.

        Returns:
            Sequence numbers of the records whose file is missing.

        Raises:
            OSError: a sync failed, or the volume cannot be read.
        """
        now = self._clock()
        synced: set[str] = set()
        missing = set()
        for record in records:
            path = record.fields().get("path") if record.kind == INSTANCE_RECEIVED else None
            # A body without a path is a matter for whoever decodes it.
            if isinstance(path, str) and not self._files.make_durable(path, synced):
                missing.add(record.sequence)
                self._missing_since.setdefault(record.sequence, now)
        return frozenset(missing)

    def is_undecided(self, sequence: int) -> bool:
        """Whether a file that `check` found missing must be looked for once more, and later."""
        self._waits_until = self._missing_since[sequence] + self._files.looks_apart
        return self.is_waiting

    def skip(self, start: Position, record: Record) -> None:
        """Pass over a record that begins there."""
        self._missing_since.pop(record.sequence, None)
        if record.sequence in self.never_answered:
            return
        self.never_answered.add(record.sequence)
        if self._first_skipped is None:
            self._first_skipped = start
        self._counts.never_answered += 1
        message = record.fields()
        self._observe(
            "record_never_answered",
            life=self._life,
            sequence=record.sequence,
            SOPInstanceUID=message.get("SOPInstanceUID"),
            SeriesInstanceUID=message.get("SeriesInstanceUID"),
        )

    def hold_back(self, position: Position) -> Position:
        """This position, or the first record that was skipped, if that one comes before."""
        return position if self._first_skipped is None else min(position, self._first_skipped)

    def forget(self) -> None:
        """The owner lives: what was passed over is looked at again."""
        self._first_skipped = None
        self._missing_since.clear()
        self._waits_until = 0.0
        self.never_answered.clear()
