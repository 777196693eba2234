"""The folders below CUBE's storage root: made durable, and SERVICES/PACS, below which all instances are."""

import contextlib
import threading
from typing import Final

from lapidicom.common.file_system import DIRECTORY, GONE, FileSystem, sync_folder
from lapidicom.common.instance.path import PACS_ROOT
from lapidicom.common.volume import PACS_FOLDERS

FOLDER_MODE: Final = 0o775


class PacsFolder:
    """SERVICES/PACS of a volume, held open once it is durable.

    Args:
        file_system: the system calls.
        root: descriptor of CUBE's storage root.
        fsync: whether durability is wanted (CHRIS_FSYNC).
    """

    def __init__(self, file_system: FileSystem, root: int, *, fsync: bool) -> None:
        self._fs = file_system
        self._root = root
        self._fsync = fsync
        self._held = -1
        self._lock = threading.Lock()

    def make(self) -> None:
        """Make it, if it is not there."""
        for folder in PACS_FOLDERS:
            with contextlib.suppress(FileExistsError):
                self._fs.mkdir(folder, FOLDER_MODE, dir_fd=self._root)

    def hold(self) -> None:
        """Make it durable under its name, and hold it so that its inode is given to no other."""
        pacs = self._fs.open(PACS_ROOT, DIRECTORY, dir_fd=self._root)
        try:
            for folder in (*reversed(PACS_FOLDERS), "."):
                self.sync(folder)
        except OSError:
            self._fs.close(pacs)
            raise
        pacs, self._held = self._held, pacs
        if pacs >= 0:
            self._fs.close(pacs)

    def ensure(self) -> None:
        """See that it is still the folder that was made durable; make it anew if it is not.

        Raises:
            OSError: it cannot be made, or not made durable.
        """
        with self._lock:
            try:
                found, held = self._fs.stat(PACS_ROOT, dir_fd=self._root), self._fs.fstat(self._held)
                if (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino):
                    return
            except OSError as error:
                if error.errno not in GONE:
                    raise
            self.make()
            self.hold()

    def sync(self, folder: str) -> None:
        """Make the entries of a folder below the storage root durable."""
        if self._fsync:
            sync_folder(self._fs, folder, dir_fd=self._root)

    def close(self) -> None:
        """Let go of it."""
        if self._held >= 0:
            self._fs.close(self._held)
