"""Series folders: found, made durable up to the storage root, and held open for the stores that follow."""

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable

from lapidicom.common.file_system import DIRECTORY, GONE, FileSystem
from lapidicom.common.open_series import count_files
from lapidicom.common.volume import PACS_FOLDERS
from lapidicom.receiver.storage.fixed_folders import FixedFolder, FixedFolders, SeriesIdentity
from lapidicom.receiver.storage.pacs_folder import FOLDER_MODE
from lapidicom.receiver.storage.volume import Volume


class SeriesFolder:
    """An open series folder. The descriptor closes when the last association lets go of the object."""

    __slots__ = ("_close", "descriptor", "fixed", "identity")

    def __init__(
        self, identity: SeriesIdentity, fixed: FixedFolder, descriptor: int, file_system: FileSystem
    ) -> None:
        self.identity = identity
        self.fixed = fixed
        self.descriptor = descriptor
        self._close = file_system.close

    @property
    def path(self) -> str:
        """Relative to CUBE's storage root."""
        return self.fixed.path

    def __del__(self) -> None:
        self._close(self.descriptor)


class SeriesFolders:
    """The series folders that this listener has met, the latest ones held open.

    Args:
        volume: where they are.
        fixed: which they are.
        file_system: the system calls.
        most: number of folders held open; older ones are met anew, at the price of their fsyncs.
    """

    def __init__(self, volume: Volume, fixed: FixedFolders, file_system: FileSystem, most: int = 256) -> None:
        self._volume = volume
        self._fixed = fixed
        self._fs = file_system
        self._most = most
        self._lock = threading.Lock()
        self._open: OrderedDict[SeriesIdentity, SeriesFolder] = OrderedDict()

    def get(self, identity: SeriesIdentity, wanted: str) -> SeriesFolder:
        """Return the folder of a series, made if need be, its entry and those above it durable.

        Args:
            identity: of the series.
            wanted: the folder that the values of the instance at hand make, such as
                SERVICES/PACS/pacs/patient/study/series: the first one that is wanted stays.

        Raises:
            OSError: if it cannot be fixed, made, synced or opened.
            OutOfResources: if the volume is unfit, or is not the one of the start.
        """
        with self._lock:
            folder = self._open.get(identity)
            if folder is not None:
                self._open.move_to_end(identity)
        if folder is not None and self._fixed.use(folder.fixed.entry):
            return folder
        return self._hold(identity, lambda: self._fixed.find(identity, wanted))

    def renewed(self, folder: SeriesFolder) -> SeriesFolder:
        """Make a folder anew that has gone from the volume, with all that is missing above it.

        Raises:
            OSError, OutOfResources: as `get`.
        """
        self.forget(folder)
        return self._hold(folder.identity, lambda: folder.fixed)

    def forget(self, folder: SeriesFolder) -> None:
        """Forget a folder that has gone from the volume, so that `get` makes it anew.

        Whatever is held open for its series goes: it may have been made anew, and have gone once more.
        """
        with self._lock:
            self._open.pop(folder.identity, None)

    def count(self, path: str) -> int | None:
        """How many instances a series folder holds, whoever sent them; None if it cannot be read."""
        try:
            return count_files(self._volume.files_root / path, self._fs)
        except OSError:
            return None

    def _hold(self, identity: SeriesIdentity, find: Callable[[], FixedFolder]) -> SeriesFolder:
        try:
            folder = self._make(identity, find)
        except OSError as error:
            if error.errno not in GONE:
                raise
            # Removed meanwhile; or this client's cache still had a folder above it that another one removed.
            self._fixed.forget()
            folder = self._make(identity, find)
        with self._lock:
            self._open[identity] = folder
            if len(self._open) > self._most:
                self._open.popitem(last=False)
        return folder

    def _make(self, identity: SeriesIdentity, find: Callable[[], FixedFolder]) -> SeriesFolder:
        self._volume.check()
        self._volume.pacs.ensure()
        fixed = find()
        names = fixed.path.split("/")
        chain = ["/".join(names[:depth]) for depth in range(len(PACS_FOLDERS), len(names) + 1)]
        for folder in chain[1:]:
            with contextlib.suppress(FileExistsError):
                self._fs.mkdir(folder, FOLDER_MODE, dir_fd=self._volume.root)
        # Whoever made them: another listener may have made a folder and not yet synced its parent.
        for folder in reversed(chain[:-1]):
            self._volume.pacs.sync(folder)
        self._fixed.sync(identity)
        descriptor = self._fs.open(fixed.path, DIRECTORY, dir_fd=self._volume.root)
        return SeriesFolder(identity, fixed, descriptor, self._fs)
