"""What a volume must offer lapidicom, each demand by name, and how it is tried out.

A receiver tries its volume at its start and, while it refuses instances, every few seconds; `lapidicom
doctor` tries the volume at hand. docs/deploy.md lists the demands for those who choose a volume.
"""

import contextlib
import errno
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Final

from lapidicom.common.file_system import DIRECTORY, FileSystem
from lapidicom.common.instance.path import PACS_ROOT

PACS_FOLDERS: Final = (PACS_ROOT.partition("/")[0], PACS_ROOT)
"""Where instances are, below the storage root, and what is above that."""

NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""No space, no inodes, or the quota is used up: all who share the volume meet it."""

NOT_WRITABLE: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
"""A mount that is read-only, or a user who may not write."""

_FILE_MODE: Final = 0o664
_CREATE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class Demand(StrEnum):
    """What a volume must offer; the values are shown to operators."""

    WRITE = "writable"
    SYNC_FILES = "fsync of files"
    HARD_LINKS = "hard links"
    ONE_FILE_SYSTEM = "one file system for spool and SERVICES/PACS"
    ATOMIC_RENAME = "atomic rename"
    SYNC_FOLDERS = "fsync of folders"


@dataclass(frozen=True, slots=True)
class Finding:
    """How one demand fared.

    Attributes:
        demand: which one.
        fault: what failed, as a sentence without paths; None if the volume meets the demand.
        remedy: what to do about the fault; empty without one.
        errno: of the system call that failed; None if none did.
    """

    demand: Demand
    fault: str | None = None
    remedy: str = ""
    errno: int | None = None


def try_volume(file_system: FileSystem, *, spool: int, root: int, fsync: bool = True) -> list[Finding]:
    """Do what receivers do for instances, under scratch names that are removed again.

    Files appear for a moment in `spool` and in SERVICES/PACS, or in what of it is there.

    Args:
        file_system: the system calls.
        spool: descriptor of the spool or of a folder in it.
        root: descriptor of CUBE's storage root.
        fsync: whether files and folders are to be synced (CHRIS_FSYNC).

    Returns:
        A finding for each demand that could be tried, in the order of `Demand`. If the volume takes no
        files, that is the only one.
    """
    trial = _Trial(file_system, spool, root)
    with trial.target():
        return list(trial.run(fsync))


class _Trial:
    """One try-out. A step that raises OSError says that its demand is not met."""

    def __init__(self, file_system: FileSystem, spool: int, root: int) -> None:
        self._fs = file_system
        self._spool = spool
        self._root = root
        name = f".try-{uuid.uuid4().hex}"
        self._file, self._other, self._link = f"{name}-1", f"{name}-2", f"{name}-3"
        self._folder = self._unwritable = ""
        self._target = -1

    @contextlib.contextmanager
    def target(self) -> Iterator[None]:
        """Hold the folder open to which files are renamed: SERVICES/PACS, or what of it is there."""
        self._target = self._fs.open(".", DIRECTORY, dir_fd=self._root)
        try:
            for folder in PACS_FOLDERS:
                try:
                    opened = self._fs.open(folder, DIRECTORY, dir_fd=self._root)
                except FileNotFoundError:
                    break
                self._fs.close(self._target)
                self._target, self._folder = opened, folder
            yield
        finally:
            self._clean_up()
            self._fs.close(self._target)

    def run(self, fsync: bool) -> Iterator[Finding]:
        """Try one demand after the other."""
        steps: dict[Demand, Callable[[], None]] = {
            Demand.WRITE: self._write,
            Demand.SYNC_FILES: self._sync_file,
            Demand.HARD_LINKS: self._make_link,
            Demand.ONE_FILE_SYSTEM: self._rename_across,
            Demand.ATOMIC_RENAME: self._replace,
            Demand.SYNC_FOLDERS: self._sync_folders,
        }
        if not fsync:
            del steps[Demand.SYNC_FILES], steps[Demand.SYNC_FOLDERS]
        for demand, step in steps.items():
            try:
                step()
            except OSError as error:
                yield self._unmet(demand, error)
                if demand is Demand.WRITE:
                    return
            else:
                yield Finding(demand)

    def _clean_up(self) -> None:
        """Remove all scratch files, wherever the try-out ended."""
        for name in (self._file, self._other, self._link):
            for folder in (self._spool, self._target):
                with contextlib.suppress(OSError):
                    self._fs.unlink(name, dir_fd=folder)

    def _write(self) -> None:
        self._unwritable = "the spool"
        for name in (self._file, self._other):
            self._create(name, self._spool)
        self._unwritable = self._folder or "CHRIS_FILES_ROOT"
        self._create(self._link, self._target)
        self._fs.unlink(self._link, dir_fd=self._target)

    def _create(self, name: str, folder: int) -> None:
        fd = self._fs.open(name, _CREATE, _FILE_MODE, dir_fd=folder)
        try:
            self._fs.write(fd, name.encode())
        finally:
            self._fs.close(fd)

    def _sync_file(self) -> None:
        fd = self._fs.open(self._file, os.O_RDWR | os.O_CLOEXEC, dir_fd=self._spool)
        try:
            self._fs.fsync(fd)
        finally:
            self._fs.close(fd)

    def _make_link(self) -> None:
        self._fs.link(self._file, self._link, src_dir_fd=self._spool, dst_dir_fd=self._spool)
        with contextlib.suppress(FileExistsError):
            self._fs.link(self._other, self._link, src_dir_fd=self._spool, dst_dir_fd=self._spool)
            raise OSError(errno.EIO, "it took a name that was there already")

    def _rename_across(self) -> None:
        self._fs.rename(self._file, self._file, src_dir_fd=self._spool, dst_dir_fd=self._target)

    def _replace(self) -> None:
        """Rename over a file that somebody has open."""
        folder = self._target
        try:
            fd = self._open(self._file, folder)
        except FileNotFoundError:  # it could not be renamed to there
            folder = self._spool
            fd = self._open(self._file, folder)
        try:
            self._fs.rename(self._other, self._file, src_dir_fd=self._spool, dst_dir_fd=folder)
        finally:
            self._fs.close(fd)
        fd = self._open(self._file, folder)
        try:
            if self._fs.pread(fd, 64, 0) != self._other.encode():
                raise OSError(errno.EIO, "the name has the old file")
        finally:
            self._fs.close(fd)

    def _open(self, name: str, folder: int) -> int:
        return self._fs.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)

    def _sync_folders(self) -> None:
        for folder in (self._spool, self._target):
            self._fs.fsync(folder)

    def _unmet(self, demand: Demand, error: OSError) -> Finding:
        why = error.strerror or "failed"
        match demand:
            case _ if error.errno in NO_SPACE:
                fault, remedy = f"no space, inodes or quota left ({why})", "free or add space"
            case Demand.WRITE:
                fault = f"{self._unwritable} takes no files ({why})"
                remedy = (
                    f"mount the volume read-write, and let uid {os.getuid()}, gid {os.getgid()} write to it"
                )
            case Demand.SYNC_FILES:
                fault, remedy = f"fsync of a file fails ({why})", _SYNCS
            case Demand.HARD_LINKS:
                fault = f"link() fails ({why}): the volume has no hard links"
                remedy = (
                    "use one that has them: a local file system, NFS or CephFS; not SMB, Azure Files or S3"
                )
            case Demand.ONE_FILE_SYSTEM if error.errno == errno.EXDEV:
                fault, remedy = self._other_file_system()
            case Demand.ONE_FILE_SYSTEM:
                fault, remedy = f"files cannot be renamed into {self._folder} ({why})", _RENAMES
            case Demand.ATOMIC_RENAME:
                fault, remedy = f"a rename does not replace a file that is open ({why})", _RENAMES
            case Demand.SYNC_FOLDERS:
                fault, remedy = f"fsync of a folder fails ({why})", _SYNCS
        return Finding(demand, fault, remedy, error.errno)

    def _other_file_system(self) -> tuple[str, str]:
        mounts = {"CHRIS_FILES_ROOT": _mount(self._root)}
        for folder in PACS_FOLDERS:
            with contextlib.suppress(OSError), _opened(self._root, folder) as fd:
                mounts[folder] = _mount(fd)
        names = list(mounts)
        for above, below in pairwise(names):
            if mounts[above] != mounts[below]:
                return (
                    f"{below} is another mount than {above}: files cannot be renamed into it",
                    "mount one volume at CHRIS_FILES_ROOT, and none below it",
                )
        if _mount(self._spool) != mounts["CHRIS_FILES_ROOT"]:
            return (
                "the spool is on another mount than CHRIS_FILES_ROOT: files cannot be renamed from it",
                "unset CHRIS_SPOOL_DIR, or let it be a folder of the volume of CHRIS_FILES_ROOT",
            )
        return (
            f"files cannot be renamed from the spool into {self._folder}, though they are on one mount",
            "use a volume without overlay, union or project quotas between them",
        )


_SYNCS: Final = "use a volume that makes files and folders durable; no success could be kept on this one"
_RENAMES: Final = "use a volume on which rename() replaces a file at once (POSIX)"


@contextlib.contextmanager
def _opened(root: int, folder: str) -> Iterator[int]:
    fd = os.open(folder, DIRECTORY, dir_fd=root)
    try:
        yield fd
    finally:
        os.close(fd)


def _mount(fd: int) -> tuple[int, str]:
    """What two folders have in common if a rename between them works: two mounts of one device are two."""
    try:
        lines = Path(f"/proc/self/fdinfo/{fd}").read_text(encoding="ascii").splitlines()
    except OSError:
        lines = []
    return os.fstat(fd).st_dev, next((line for line in lines if line.startswith("mnt_id:")), "")
