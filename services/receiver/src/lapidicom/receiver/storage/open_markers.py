"""The open markers of the series that a listener's associations have begun (common/open_series.py)."""

import contextlib
import os
import posixpath
import threading
from collections.abc import Iterable
from typing import Final

from lapidicom.common.file_system import DIRECTORY, FileSystem
from lapidicom.common.open_series import BEING_HEALED, OPEN, is_being_healed, markers_folder
from lapidicom.receiver.errors import SeriesBeingHealed
from lapidicom.receiver.storage.spool_folders import SpoolFolders
from lapidicom.receiver.storage.volume import FILE_MODE

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_TRIES: Final = 3
"""A relay may remove a folder without markers at the moment in which it is needed again."""


class OpenMarker:
    """A marker that was made, and is to be synced before anybody relies on it.

    Attributes:
        path: relative to the spool.
        name: in the folder of its series.
    """

    __slots__ = ("_folders", "_unsynced", "name", "path")

    def __init__(self, path: str, folders: SpoolFolders, unsynced: list[str]) -> None:
        self.path = path
        self.name = posixpath.basename(path)
        self._folders = folders
        self._unsynced = unsynced

    def sync(self) -> None:
        """Make it durable.

        Raises:
            OSError: it failed.
        """
        self._folders.sync_entries(posixpath.dirname(self.path))
        self._folders.sync(self._unsynced)


class OpenMarkers:
    """Makes and removes markers. All methods may be called by any thread.

    Args:
        file_system: the system calls.
        folders: of the spool.
    """

    def __init__(self, file_system: FileSystem, folders: SpoolFolders) -> None:
        self._fs = file_system
        self._folders = folders
        self._unremoved: set[str] = set()
        self._lock = threading.Lock()
        """Held while a marker is made or removed: of two threads that make one neither may remove it."""

    def make(self, pacs_name: str, series_instance_uid: str, name: str) -> OpenMarker:
        """Make a marker, unless it is there already, then look whether the series is being healed.

        One that is there was made when this life began: what was answered before relies on it, so it stays.

        Args:
            pacs_name: of the series.
            series_instance_uid: likewise.
            name: what `marker_name` makes of life and association.

        Raises:
            SeriesBeingHealed: it is; no marker is made then.
            OSError: it cannot be made, or nobody knows.
        """
        folder = markers_folder(pacs_name, series_instance_uid)
        path = f"{folder}/{name}"
        with self._lock:
            self._unremoved.discard(path)  # needed again
            is_new, unsynced = self._create(folder, name)
            try:
                if is_being_healed(self._folders.spool, pacs_name, series_instance_uid, self._fs):
                    raise SeriesBeingHealed(BEING_HEALED)
            except (OSError, SeriesBeingHealed):
                if is_new:
                    self._remove(path)
                raise
        return OpenMarker(path, self._folders, unsynced)

    def _create(self, folder: str, name: str) -> tuple[bool, list[str]]:
        """Whether the marker is a new one, and which folders are to be synced."""
        for _ in range(_TRIES):
            with contextlib.suppress(FileNotFoundError):
                unsynced = self._folders.make(folder)
                try:
                    fd = self._fs.open(f"{folder}/{name}", _CREATE, FILE_MODE, dir_fd=self._folders.spool)
                except FileExistsError:
                    return False, unsynced
                self._fs.close(fd)
                return True, unsynced
            self._folders.forget()
        raise FileNotFoundError

    def left_by(self, pacs_name: str, name: str) -> list[str]:
        """The paths of all markers of this name, of whatever series of a PACS."""
        fs, spool, folder = self._fs, self._folders.spool, f"{OPEN}/{pacs_name}"
        with contextlib.suppress(OSError):
            fd = fs.open(folder, DIRECTORY, dir_fd=spool)
            try:
                markers = [f"{folder}/{series}/{name}" for series in fs.listdir(fd)]  # type: ignore[arg-type]
            finally:
                fs.close(fd)
            return [one for one in markers if fs.access(one, os.F_OK, dir_fd=spool)]
        return []

    def remove(self, paths: Iterable[str] = ()) -> None:
        """Remove markers. Never raises: what cannot be removed is tried again with the next call.

        What is left in the end goes when this life is finished.
        """
        with self._lock:
            for path in (*self._unremoved, *paths):
                self._remove(path)

    def _remove(self, path: str) -> None:
        try:
            self._fs.unlink(path, dir_fd=self._folders.spool)
        except FileNotFoundError:
            self._unremoved.discard(path)
        except OSError:
            self._unremoved.add(path)
        else:
            self._unremoved.discard(path)
