"""What lives and series leave behind in the spool: open markers, and the entries that fix series folders.

The markers of a life go when it is finished. A relay of an earlier version finishes lives and knows nothing
of markers, so there is a sweep now and then: over the markers of lives that are finished or gone, and over
entries that were not used for CHRIS_JOURNAL_DAYS. A series with a marker is in use. Folders without markers
stay for an hour: their time stamps tell registrars that somebody came and went.
"""

import contextlib
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from typing import Final

from lapidicom.common.file_system import FileSystem, sync_folder
from lapidicom.common.open_series import OPEN, is_open, life_of
from lapidicom.receiver.storage.fixed_folders import FIXED

_DAY: Final = 86_400.0
_FOLDER_SECONDS: Final = 3600.0


class SpoolSweep:
    """Removes it.

    Args:
        file_system: the system calls.
        spool: the spool directory.
        days: CHRIS_JOURNAL_DAYS.
        now: seconds since the epoch, as the volume's time stamps count them.
    """

    def __init__(
        self, file_system: FileSystem, spool: os.PathLike[str], *, days: float, now: Callable[[], float]
    ) -> None:
        self._fs = file_system
        self._spool = os.fspath(spool)
        self._seconds = days * _DAY
        self._now = now
        self._unknown_before: set[str] = set()

    def remove_markers(self, life: str) -> None:
        """Remove all open markers of a life, durably.

        Raises:
            OSError: not all of them are removed.
        """
        for folder, names in self._markers():
            found = [name for name in names if life_of(name) == life]
            self._remove(folder, found)
            if found:
                sync_folder(self._fs, folder)

    def run(self, *, finished: Collection[str], others: Collection[str]) -> None:
        """Remove what nobody needs any more.

        Args:
            finished: lives of which everything is published.
            others: all other lives that have a journal, whoever can read it.

        Raises:
            OSError: the spool cannot be read; the next run tries again.
        """
        unknown = set()
        for folder, names in self._markers():
            lives = {life_of(name) for name in names}
            gone = lives.difference(finished, others)
            # The list of journals may be older than the markers where folders are cached: a second look.
            over = lives.intersection(finished) | (gone & self._unknown_before)
            unknown |= gone
            self._remove(folder, [name for name in names if life_of(name) in over])
            with contextlib.suppress(OSError):  # in use again
                if not names and self._fs.stat(folder).st_mtime < self._now() - _FOLDER_SECONDS:
                    self._fs.rmdir(folder)
        self._unknown_before = unknown
        for pacs_name in self._listing(FIXED):
            self._remove_entries(pacs_name, self._now() - self._seconds)

    def _remove_entries(self, pacs_name: str, limit: float) -> None:
        """Remove the entries of series of which none was used; the first of a series comes last."""
        series = defaultdict(list)
        for name in self._listing(f"{FIXED}/{pacs_name}"):
            uid, _, number = name.rpartition(".")
            if number.isdigit():
                series[uid].append(int(number))
        for uid, numbers in series.items():
            entries = [
                f"{self._spool}/{FIXED}/{pacs_name}/{uid}.{number}"
                for number in sorted(numbers, reverse=True)
            ]
            with contextlib.suppress(FileNotFoundError):  # another relay is at it
                if all(self._fs.stat(entry).st_mtime < limit for entry in entries) and not is_open(
                    self._spool, pacs_name, uid, self._fs
                ):
                    for entry in entries:
                        self._fs.unlink(entry)

    def _markers(self) -> Iterator[tuple[str, list[str]]]:
        """The folder of each series that was ever open, and the names of its markers."""
        for pacs_name in self._listing(OPEN):
            for uid in self._listing(f"{OPEN}/{pacs_name}"):
                folder = f"{OPEN}/{pacs_name}/{uid}"
                yield f"{self._spool}/{folder}", self._listing(folder)

    def _listing(self, folder: str) -> list[str]:
        try:
            return self._fs.listdir(f"{self._spool}/{folder}")
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _remove(self, folder: str, names: list[str]) -> None:
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                self._fs.unlink(f"{folder}/{name}")
