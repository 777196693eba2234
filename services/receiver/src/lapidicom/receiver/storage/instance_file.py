"""The durable write of one instance: temporary file, fsync, rename, and later the folder's fsync.

The order is the guarantee: a file bears its final name only when its bytes are durable, and a crash
at any moment leaves either the old file, or the new one, or a temporary file in the spool. What the
guarantee does not need comes after the answer: the file is closed then, and the next one is made.
"""

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Sequence
from typing import Final, Literal

from lapidicom.common.file_system import GONE, FileSystem
from lapidicom.common.instance.errors import HeaderError
from lapidicom.common.instance.part10 import HEAD_LENGTH, read_file_meta
from lapidicom.receiver.errors import OutOfResources
from lapidicom.receiver.storage.folders import SeriesFolder, SeriesFolders
from lapidicom.receiver.storage.open_markers import OpenMarkers
from lapidicom.receiver.storage.refusals import Refusals
from lapidicom.receiver.storage.volume import FILE_MODE, Volume, cannot_write

Placed = Literal["new", "kept", "replaced"]

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_CHUNK: Final = 1 << 18

_FRESH_SECONDS: Final = 1.0
"""Age up to which an empty file is used. A listener that was paused for long may have been taken for dead,
and its temporary files removed: an instance written to such a file would be refused."""


class InstanceStore:
    """Places instances on the volume; one for all associations of a listener.

    Args:
        volume: the storage root.
        folders: its series folders.
        markers: of the series that are open.
        file_system: the system calls.
        fsync: whether to make files durable (CHRIS_FSYNC).
        clock: monotonic seconds.
    """

    def __init__(
        self,
        volume: Volume,
        folders: SeriesFolders,
        markers: OpenMarkers,
        file_system: FileSystem,
        *,
        fsync: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.volume = volume
        self.folders = folders
        self.markers = markers
        self.fs = file_system
        self.fsync = fsync
        self.clock = clock
        self.refusals = Refusals()
        self._numbers = itertools.count(1)

    def new_file(self) -> "TemporaryFile":
        """Create an empty temporary file in the spool.

        Raises:
            OutOfResources: if it cannot be created.
        """
        name = f"{next(self._numbers)}.part"
        try:
            return TemporaryFile(
                self, name, self.fs.open(name, _CREATE, FILE_MODE, dir_fd=self.volume.incoming)
            )
        except OSError as error:
            raise cannot_write(error) from error

    def sync_folder(self, folder: SeriesFolder) -> None:
        """Make the names in a series folder durable.

        Raises:
            OutOfResources: if the fsync fails; it is never tried again (its error is reported once).
        """
        if not self.fsync:
            return
        try:
            self.fs.fsync(folder.descriptor)
        except OSError as error:
            self.folders.forget(folder)
            raise cannot_write(error) from error


class TemporaryFile:
    """A file in the spool that becomes an instance, or is discarded."""

    __slots__ = ("_descriptor", "_made_at", "_name", "_store", "size")

    def __init__(self, store: InstanceStore, name: str, descriptor: int) -> None:
        self._store = store
        self._name = name
        self._descriptor = descriptor
        self._made_at = store.clock()
        self.size = 0
        """Bytes written so far; of the file that is there, once it was kept."""

    @property
    def is_fresh(self) -> bool:
        """Whether it was made just now, so that it still has its name."""
        return self._store.clock() - self._made_at < _FRESH_SECONDS

    def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Append all chunks (at most IOV_MAX, 1024).

        Raises:
            OutOfResources: the file is then discarded.
        """
        try:
            written = self._store.fs.writev(self._descriptor, chunks)
            total = sum(map(len, chunks))
            if written < total:  # a full disk, or the kernel's limit of 2 GiB a call
                self._write_rest(b"".join(chunks)[written:])
        except OSError as error:
            self.discard()
            raise cannot_write(error) from error
        self.size += total

    def _write_rest(self, rest: bytes) -> None:
        while rest:
            rest = rest[self._store.fs.write(self._descriptor, rest) :]

    def place(self, folder: SeriesFolder, name: str) -> tuple[SeriesFolder, Placed]:
        """Make the bytes durable and give them their final name. `close` is called after the answer.

        Without syncs the file is closed first: a network file system that could not write it says so then.

        Args:
            folder: the series folder; one that has gone meanwhile is made anew, once.
            name: the file's name.

        Returns:
            The folder in which the file now is, and whether its name was new, was kept because the
            same data set was there already, or was replaced.

        Raises:
            OutOfResources: the temporary file is then discarded.
        """
        fs, store = self._store.fs, self._store
        try:
            if store.fsync:
                fs.fsync(self._descriptor)
            else:
                self._close()
            store.volume.check()
            try:
                return folder, self._rename(folder, name)
            except OSError as error:
                if error.errno not in GONE:
                    raise
                # CUBE, or an operator, has deleted the series or what is above it.
                folder = store.folders.renewed(folder)
                return folder, self._rename(folder, name)
        except OSError as error:
            self.discard()
            raise cannot_write(error) from error
        except OutOfResources:
            self.discard()
            raise

    def _rename(self, folder: SeriesFolder, name: str) -> Placed:
        store = self._store
        placed: Placed = "new"
        if store.fs.access(name, os.F_OK, dir_fd=folder.descriptor):
            kept_size = self._size_of_same(folder, name)
            if kept_size is not None:
                self.discard()
                self.size = kept_size
                return "kept"
            placed = "replaced"
        store.fs.rename(self._name, name, src_dir_fd=store.volume.incoming, dst_dir_fd=folder.descriptor)
        return placed

    def _size_of_same(self, folder: SeriesFolder, name: str) -> int | None:
        """Size of the file that is there, if it is the same instance: same transfer syntax, same data set.

        The rest of its File Meta may differ: the instance may have come by another association.
        """
        fs = self._store.fs
        with contextlib.ExitStack() as opened:
            try:
                mine = fs.open(self._name, os.O_RDONLY, dir_fd=self._store.volume.incoming)
                opened.callback(fs.close, mine)
                there = fs.open(name, os.O_RDONLY, dir_fd=folder.descriptor)
                opened.callback(fs.close, there)
                if not _is_same_instance(fs, mine, there):
                    return None
                if self._store.fsync:  # it may stem from a time when CHRIS_FSYNC was off
                    fs.fsync(there)
                return fs.fstat(there).st_size
            except OSError:
                return None

    def close(self) -> None:
        """Close a file that was placed; harmless if that is done already."""
        with contextlib.suppress(OSError):  # its bytes are durable
            self._close()

    def discard(self) -> None:
        """Close and remove the temporary file; harmless if that is done already."""
        self.close()
        with contextlib.suppress(OSError):
            self._store.fs.unlink(self._name, dir_fd=self._store.volume.incoming)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            self._store.fs.close(descriptor)


def _is_same_instance(fs: FileSystem, mine: int, there: int) -> bool:
    try:
        my_meta, their_meta = (read_file_meta(fs.pread(fd, HEAD_LENGTH, 0)) for fd in (mine, there))
    except HeaderError:
        return False
    if my_meta.transfer_syntax_uid != their_meta.transfer_syntax_uid:
        return False
    my_offset, their_offset = my_meta.data_set, their_meta.data_set
    if fs.fstat(mine).st_size - my_offset != fs.fstat(there).st_size - their_offset:
        return False
    while True:
        my_bytes, their_bytes = fs.pread(mine, _CHUNK, my_offset), fs.pread(there, _CHUNK, their_offset)
        if my_bytes != their_bytes:
            return False
        if not my_bytes:
            return True
        my_offset += len(my_bytes)
        their_offset += len(their_bytes)
