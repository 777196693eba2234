"""Which folder a series has: fixed by the first instance ever, for all receivers, associations and resends.

    <spool>/series/<pacs>/<SeriesInstanceUID>.<n>    two lines: a digest of the identity, the series folder

Instances of one series may differ in a description, and so in the folder that their values make; they shall
not lie in two. Another identity with the same SeriesInstanceUID (pseudonymised, corrected) has another entry,
with the next `n`, and another folder, even where its values make the same: no file of one replaces one of the
other.

An entry is made by link(): of two receivers one wins. It is used once by each association that brings the
series; what was not used for CHRIS_JOURNAL_DAYS is removed by a relay.
"""

import contextlib
import errno
import hashlib
import itertools
import os
import posixpath
from typing import Final, NamedTuple

from lapidicom.common.file_system import FileSystem
from lapidicom.common.instance.path import set_apart
from lapidicom.receiver.storage.spool_folders import SpoolFolders
from lapidicom.receiver.storage.volume import FILE_MODE

FIXED: Final = "series"
"""Folder of all entries, below the spool."""

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
_LONGEST: Final = 1024


class SeriesIdentity(NamedTuple):
    """What names a series across associations and receivers."""

    pacs_name: str
    PatientID: str
    StudyInstanceUID: str
    SeriesInstanceUID: str

    @property
    def digest(self) -> str:
        """A digest of it: 32 hexadecimal digits."""
        return hashlib.sha256("\0".join(self).encode("utf-8", "surrogatepass")).hexdigest()[:32]


class FixedFolder(NamedTuple):
    """The folder of a series.

    Attributes:
        path: relative to CUBE's storage root.
        entry: relative to the spool.
    """

    path: str
    entry: str


class FixedFolders:
    """The entries, as one listener makes and reads them. All methods may be called by any thread.

    Args:
        file_system: the system calls.
        folders: of the spool.
        incoming: descriptor of the listener's folder of temporary files.
    """

    def __init__(self, file_system: FileSystem, folders: SpoolFolders, incoming: int) -> None:
        self._fs = file_system
        self._folders = folders
        self._incoming = incoming
        self._numbers = itertools.count(1)

    def find(self, identity: SeriesIdentity, wanted: str) -> FixedFolder:
        """The folder of a series; fixes it if that was not done. It is not durable before `sync`.

        Args:
            identity: of the series.
            wanted: the folder that the values of the instance at hand make.

        Raises:
            OSError: its entry cannot be made or read.
        """
        digest, others = identity.digest, set[str]()
        for number in itertools.count(1):
            entry = f"{FIXED}/{identity.pacs_name}/{identity.SeriesInstanceUID}.{number}"
            found = self._read(entry)
            if found is None or (found[0] == digest and not self.use(entry)):
                own = wanted if wanted not in others else set_apart(wanted, digest)
                found = self._make(entry, digest, own)
            owner, folder = found
            if owner == digest:
                return FixedFolder(folder, entry)
            others.add(folder)
        raise AssertionError

    def forget(self) -> None:
        """A folder of the spool has gone: make all anew."""
        self._folders.forget()

    def sync(self, identity: SeriesIdentity) -> None:
        """Make the entries of a PACS durable, whoever made them.

        Raises:
            OSError: it failed.
        """
        folder = f"{FIXED}/{identity.pacs_name}"
        self._folders.sync_entries(folder)
        self._folders.sync(self._folders.make(folder))

    def use(self, entry: str) -> bool:
        """Note that an entry is in use.

        Returns:
            False if it is gone: a relay has removed it.

        Raises:
            OSError: the volume failed.
        """
        try:
            self._fs.utime(entry, dir_fd=self._folders.spool)
        except FileNotFoundError:
            return False
        except PermissionError:  # another user made it, and lets nobody keep it
            return True
        return True

    def _read(self, entry: str) -> tuple[str, str] | None:
        """Digest and folder; None if there is no such entry. What is damaged is nobody's."""
        try:
            fd = self._fs.open(entry, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._folders.spool)
        except FileNotFoundError:
            return None
        try:
            text = self._fs.read(fd, _LONGEST)
        finally:
            self._fs.close(fd)
        owner, folder, *_ = (*text.decode("ascii", "replace").split("\n"), "")
        return owner, folder

    def _make(self, entry: str, digest: str, folder: str) -> tuple[str, str]:
        """Make an entry, unless another receiver makes it at this moment; what it holds."""
        fs, text = self._fs, f"{digest}\n{folder}\n".encode("ascii")
        self._folders.make(posixpath.dirname(entry))
        name = f"{next(self._numbers)}.series"
        fd = fs.open(name, _CREATE, FILE_MODE, dir_fd=self._incoming)
        try:
            if fs.write(fd, text) != len(text):
                raise OSError(errno.ENOSPC, "short write")
            self._folders.sync_file(fd)
        finally:
            fs.close(fd)
        try:
            fs.link(name, entry, src_dir_fd=self._incoming, dst_dir_fd=self._folders.spool)
        except FileExistsError:
            return self._read(entry) or ("", "")
        finally:
            with contextlib.suppress(OSError):
                fs.unlink(name, dir_fd=self._incoming)
        return digest, folder
