"""Folders of the spool that have one for each PACS: made first, and made durable together with others."""

import contextlib
import posixpath
from collections.abc import Sequence
from typing import Final

from lapidicom.common.file_system import FileSystem, sync_folder
from lapidicom.receiver.storage.pacs_folder import FOLDER_MODE

_MOST: Final = 1024
"""Folders of which is remembered that they are durable."""


class SpoolFolders:
    """Those of one listener. All methods may be called by any thread.

    Args:
        file_system: the system calls.
        spool: descriptor of the spool.
        fsync: whether durability is wanted (CHRIS_FSYNC).
    """

    def __init__(self, file_system: FileSystem, spool: int, *, fsync: bool) -> None:
        self.spool = spool
        self._fs = file_system
        self._fsync = fsync
        self._durable: set[str] = set()

    def make(self, folder: str) -> list[str]:
        """Make a folder with all above it.

        Args:
            folder: relative to the spool.

        Returns:
            Those of which is not known that they are durable, for `sync`: whoever made them.

        Raises:
            OSError: it failed.
        """
        unsynced = []
        for end in (*(at for at, letter in enumerate(folder) if letter == "/"), len(folder)):
            if (one := folder[:end]) not in self._durable:
                with contextlib.suppress(FileExistsError):
                    self._fs.mkdir(one, FOLDER_MODE, dir_fd=self.spool)
                unsynced.append(one)
        return unsynced

    def sync(self, made: Sequence[str]) -> None:
        """Make folders durable under their names.

        Raises:
            OSError: it failed.
        """
        for one in reversed(made):
            self.sync_entries(posixpath.dirname(one) or ".")
        if len(self._durable) >= _MOST:
            self._durable.clear()
        self._durable.update(made)

    def sync_entries(self, folder: str) -> None:
        """Make the entries of a folder durable."""
        if self._fsync:
            sync_folder(self._fs, folder, dir_fd=self.spool)

    def sync_file(self, descriptor: int) -> None:
        """Make a file durable."""
        if self._fsync:
            self._fs.fsync(descriptor)

    def forget(self) -> None:
        """One of them has gone: none is known any more."""
        self._durable.clear()
