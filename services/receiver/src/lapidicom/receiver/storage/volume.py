"""The volume: proved usable at the start, watched afterwards, and recognised at each store.

All writing goes through descriptors that were opened at the start, so nothing can land in an empty
mount point. A sentinel file with an identity tells whether the path still leads to the same volume.
"""

import contextlib
import errno
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from lapidicom.common.file_system import DIRECTORY, FileSystem
from lapidicom.common.spool import SENTINEL
from lapidicom.common.volume import NO_SPACE, Finding, try_volume
from lapidicom.receiver.errors import OutOfResources
from lapidicom.receiver.storage.pacs_folder import FOLDER_MODE, PacsFolder

FILE_MODE = 0o664


class VolumeUnusable(Exception):
    """The volume failed the checks of the start; the text says what to do."""


class Fault(NamedTuple):
    """Why the volume takes no instances.

    Attributes:
        reason: without paths.
        is_shared: whether every receiver on the volume meets it.
    """

    reason: str
    is_shared: bool = False

    def refusal(self) -> OutOfResources:
        """What an instance is refused with."""
        return OutOfResources(self.reason, is_shared=self.is_shared)


ANOTHER_VOLUME: Final = Fault("volume is not the one of the start")


@dataclass(frozen=True, slots=True)
class FreeSpace:
    """Free space as statvfs tells it: bytes, and inodes (None where the file system has no limit)."""

    bytes: int
    inodes: int | None


class Volume:
    """CUBE's storage root with the spool, held open by descriptor.

    Args:
        files_root: CUBE's storage root; must exist.
        spool: directory on the same file system for all that is not yet an instance.
        life: name of the folder of temporary files of this listener's life below `spool/incoming`.
        min_free_space: bytes below which instances are refused.
        fsync: whether durability is wanted (CHRIS_FSYNC).
        file_system: the system calls.

    Raises:
        VolumeUnusable: if a rename, an fsync or the identity fails.
    """

    def __init__(
        self,
        files_root: Path,
        spool: Path,
        life: str,
        *,
        min_free_space: int,
        fsync: bool,
        file_system: FileSystem,
    ) -> None:
        self._fs = file_system
        self._fsync = fsync
        self.files_root = files_root
        self._spool = spool
        self._incoming = spool / "incoming" / life
        self._sentinel = os.fspath(spool / SENTINEL)
        self._min_free_space = min_free_space
        self.fault: Fault | None = None
        """Why instances are refused now, or None; a plain attribute, read once per instance."""
        self.hang: Fault | None = None
        """Set while calls hang for longer than an SCU waits: what was answered already must not be stored."""
        try:
            self._open()
            self._try_out()
            self.identity = self._claim_identity()
        except (OSError, VolumeUnusable) as error:
            self._remove_incoming()  # each start has one of its own
            if isinstance(error, VolumeUnusable):
                raise
            raise VolumeUnusable(_remedy(files_root, spool, error)) from error
        self.watch()

    def _open(self) -> None:
        self.root = self._fs.open(self.files_root, DIRECTORY)
        self.pacs = PacsFolder(self._fs, self.root, fsync=self._fsync)
        for folder in (self._spool, self._spool / "incoming", self._incoming):
            with contextlib.suppress(FileExistsError):
                self._fs.mkdir(folder, FOLDER_MODE)
        self.spool = self._fs.open(self._spool, DIRECTORY)
        self.incoming = self._fs.open(self._incoming, DIRECTORY)

    def _claim_identity(self) -> str:
        """Read the sentinel, or make it; of two receivers that make it at once, one wins by link()."""
        own = str(uuid.uuid4())
        fd = self._fs.open("sentinel", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE, dir_fd=self.incoming)
        try:
            self._fs.write(fd, own.encode())
            self._fs.fsync(fd)
        finally:
            self._fs.close(fd)
        with contextlib.suppress(FileExistsError):
            self._fs.link("sentinel", self._sentinel, src_dir_fd=self.incoming)
        self._fs.unlink("sentinel", dir_fd=self.incoming)
        self._sentinel_key = self._sentinel_stat()
        return self._read_sentinel()

    def _sentinel_stat(self) -> tuple[int, int, int]:
        """What tells this sentinel from another: volumes made alike have theirs at the same inode."""
        found = self._fs.stat(self._sentinel)
        return (found.st_dev, found.st_ino, found.st_mtime_ns)

    def _read_sentinel(self) -> str:
        fd = self._fs.open(self._sentinel, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return self._fs.read(fd, 64).decode("ascii", "replace")
        finally:
            self._fs.close(fd)

    def _try_out(self) -> None:
        """Do what each store will do.

        Raises:
            OSError, VolumeUnusable: it failed.
        """
        self.pacs.make()
        unmet = [found for found in self._findings() if found.fault is not None]
        if unmet:
            faults = "; ".join(f"{found.fault}: {found.remedy}" for found in unmet)
            raise VolumeUnusable(f"CHRIS_FILES_ROOT={self.files_root}, spool {self._spool}: {faults}")
        self.pacs.hold()
        if self.space().inodes == 0:
            raise OSError(errno.ENOSPC, "no free inodes")

    def _findings(self) -> list[Finding]:
        return try_volume(self._fs, spool=self.incoming, root=self.root, fsync=self._fsync)

    def try_store(self) -> None:
        """Do what a store does, with scratch files that are removed again.

        Raises:
            OutOfResources: it failed.
        """
        self.check()
        try:
            self.pacs.ensure()
            for found in self._findings():
                if found.fault is not None:
                    raise OutOfResources(f"volume: {found.fault}", is_shared=found.errno in NO_SPACE)
        except OSError as error:
            raise cannot_write(error) from error

    def space(self) -> FreeSpace:
        """Ask the file system what is free for us."""
        found = self._fs.fstatvfs(self.root)
        return FreeSpace(found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None)

    @property
    def obstacle(self) -> Fault | None:
        """Why instances are refused now, be it a fault or a hang; None if they are taken."""
        return self.fault or self.hang

    def check(self) -> None:
        """Refuse if the volume is known to be unfit, or is not the one of the start (one stat).

        Raises:
            OutOfResources: with what is wrong.
        """
        obstacle = self.obstacle
        if obstacle is not None:
            raise obstacle.refusal()
        if not self._is_same():
            raise ANOTHER_VOLUME.refusal()

    def _is_same(self) -> bool:
        try:
            return self._sentinel_stat() == self._sentinel_key
        except OSError:
            return False

    def watch(self) -> bool:
        """Look at identity and free space and set `fault`; called each second.

        Returns:
            False if only a fresh process can go on: the volume of the start is back under another mount,
            so that the descriptors are stale; a network file system says that they are; or the folder
            of temporary files was removed, because this listener was paused so long that it was taken
            for dead.
        """
        if not self._is_same():
            self.fault = ANOTHER_VOLUME
            with contextlib.suppress(OSError):
                return self._read_sentinel() != self.identity
            return True
        try:
            space = self.space()
            removed = self._fs.fstat(self.incoming).st_nlink == 0
        except OSError as error:
            self.fault = Fault(f"volume cannot be read ({errno.errorcode.get(error.errno or 0, 'error')})")
            return error.errno != errno.ESTALE
        if removed:
            self.fault = Fault("the folder of temporary files was removed")
            return False
        # Hysteresis: what was refused stays refused until there is 10 % more, else it flickers.
        needed = self._min_free_space if self.fault is None else self._min_free_space * 1.1
        if space.inodes == 0:
            self.fault = Fault("no free inodes on the volume", is_shared=True)
        elif space.bytes < needed:
            self.fault = Fault("free space below CHRIS_MIN_FREE_SPACE", is_shared=True)
        else:
            self.fault = None
        return True

    def close(self) -> None:
        """Remove the folder of temporary files and let go of the volume."""
        self._remove_incoming()
        self._fs.close(self.incoming)
        self._fs.close(self.spool)
        self.pacs.close()
        self._fs.close(self.root)

    def begin_life(self, life: str) -> None:
        """Let the folder of temporary files, which stays open, bear the name of the listener's new life.

        Whoever finishes the former one looks for temporary files of the dead under its name.

        Args:
            life: name of the new one's folder below `spool/incoming`.

        Raises:
            OSError: it cannot be renamed.
        """
        new = self._spool / "incoming" / life
        with contextlib.suppress(FileNotFoundError):  # it is gone already, which `watch` finds out
            self._fs.rename(self._incoming, new)
            self._incoming = new

    def _remove_incoming(self) -> None:
        with contextlib.suppress(OSError):
            self._fs.rmdir(self._incoming)


def _remedy(files_root: Path, spool: Path, error: OSError) -> str:
    what = f"{error.strerror or error} ({error.filename})" if error.filename else str(error.strerror or error)
    return (
        f"CHRIS_FILES_ROOT={files_root}, spool {spool}: {what}; "
        f"both must exist on one writable volume for uid {os.getuid()}, gid {os.getgid()}"
    )


def cannot_write(error: OSError) -> OutOfResources:
    """Translate an error of the volume into the refusal that the SCU gets."""
    return OutOfResources(
        f"volume not writable ({errno.errorcode.get(error.errno or 0, 'error')})",
        is_shared=error.errno in NO_SPACE,
    )
