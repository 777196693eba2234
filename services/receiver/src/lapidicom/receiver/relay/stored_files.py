"""The files of records behind the mark: are they there, and durable before their message is sent."""

import errno
import os
import posixpath
import stat
from pathlib import Path
from typing import Final

from lapidicom.common.file_system import FileSystem
from lapidicom.receiver.journal.life import DIRECTORY

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
        if posixpath.normpath(path) != path or path.startswith(("/", "../")) or path in (".", ".."):
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

    def _sync_folders(self, folder: str, synced: set[str]) -> None:
        while folder not in synced:
            fd = self._fs.open(f"{self._root}/{folder}", DIRECTORY)
            try:
                self._fs.fsync(fd)
            finally:
                self._fs.close(fd)
            synced.add(folder)
            if not folder:
                return
            folder = posixpath.dirname(folder)
