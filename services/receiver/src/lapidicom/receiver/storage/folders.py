"""Series folders: made, made durable up to the storage root, and held open for the stores that follow."""

import contextlib
import threading
from collections import OrderedDict

from lapidicom.common.file_system import GONE, FileSystem
from lapidicom.common.volume import PACS_FOLDERS
from lapidicom.receiver.storage.pacs_folder import DIRECTORY, FOLDER_MODE
from lapidicom.receiver.storage.volume import Volume


class SeriesFolder:
    """An open series folder. The descriptor closes when the last association lets go of the object."""

    __slots__ = ("_close", "descriptor", "path")

    def __init__(self, path: str, descriptor: int, file_system: FileSystem) -> None:
        self.path = path
        self.descriptor = descriptor
        self._close = file_system.close

    def __del__(self) -> None:
        self._close(self.descriptor)


class SeriesFolders:
    """The series folders that this listener has met, the latest ones held open.

    Args:
        volume: where they are.
        file_system: the system calls.
        most: number of folders held open; older ones are met anew, at the price of their fsyncs.
    """

    def __init__(self, volume: Volume, file_system: FileSystem, most: int = 256) -> None:
        self._volume = volume
        self._fs = file_system
        self._most = most
        self._lock = threading.Lock()
        self._open: OrderedDict[str, SeriesFolder] = OrderedDict()

    def get(self, path: str) -> SeriesFolder:
        """Return the folder, made if need be, its entry and those above it durable.

        Args:
            path: below the storage root, such as SERVICES/PACS/pacs/patient/study/series.

        Raises:
            OSError: if it cannot be made, synced or opened.
            OutOfResources: if the volume is unfit, or is not the one of the start.
        """
        with self._lock:
            folder = self._open.get(path)
            if folder is not None:
                self._open.move_to_end(path)
                return folder
        try:
            folder = self._make(path)
        except OSError as error:
            if error.errno not in GONE:
                raise
            # Removed meanwhile; or this client's cache still had a folder above it that another one removed.
            folder = self._make(path)
        with self._lock:
            self._open[path] = folder
            if len(self._open) > self._most:
                self._open.popitem(last=False)
        return folder

    def renewed(self, folder: SeriesFolder) -> SeriesFolder:
        """Make a folder anew that has gone from the volume, with all that is missing above it.

        Raises:
            OSError, OutOfResources: as `get`.
        """
        self.forget(folder)
        return self.get(folder.path)

    def forget(self, folder: SeriesFolder) -> None:
        """Forget a folder that has gone from the volume, so that `get` makes it anew.

        Whatever is held open for its path goes: it may have been made anew, and have gone once more.
        """
        with self._lock:
            self._open.pop(folder.path, None)

    def _make(self, path: str) -> SeriesFolder:
        self._volume.check()
        self._volume.pacs.ensure()
        names = path.split("/")
        chain = ["/".join(names[:depth]) for depth in range(len(PACS_FOLDERS), len(names) + 1)]
        for folder in chain[1:]:
            with contextlib.suppress(FileExistsError):
                self._fs.mkdir(folder, FOLDER_MODE, dir_fd=self._volume.root)
        # Whoever made them: another listener may have made a folder and not yet synced its parent.
        for folder in reversed(chain[:-1]):
            self._volume.pacs.sync(folder)
        return SeriesFolder(path, self._fs.open(path, DIRECTORY, dir_fd=self._volume.root), self._fs)
