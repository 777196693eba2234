"""The system calls of the store and of the journal: one port, which tests replace.

Every attribute is the function of the os module itself, so the port costs nothing; a test passes a
subclass whose `fsync` fails, waits, or kills the process at the n-th call.
"""

import errno
import os
from typing import Final

GONE: Final = frozenset({errno.ENOENT, errno.ESTALE})
"""What a descriptor or a name answers that was removed here, or by another client of a network volume."""


DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
"""Opens a folder, and nothing else."""


class FileSystem:
    """What receiver and relay ask of the volume. All paths may be relative to a folder descriptor."""

    open = staticmethod(os.open)
    close = staticmethod(os.close)
    read = staticmethod(os.read)
    pread = staticmethod(os.pread)
    write = staticmethod(os.write)
    writev = staticmethod(os.writev)
    pwrite = staticmethod(os.pwrite)
    fsync = staticmethod(os.fsync)
    fdatasync = staticmethod(os.fdatasync)
    rename = staticmethod(os.rename)
    link = staticmethod(os.link)
    unlink = staticmethod(os.unlink)
    mkdir = staticmethod(os.mkdir)
    rmdir = staticmethod(os.rmdir)
    access = staticmethod(os.access)
    stat = staticmethod(os.stat)
    fstat = staticmethod(os.fstat)
    statvfs = staticmethod(os.statvfs)
    fstatvfs = staticmethod(os.fstatvfs)
    listdir = staticmethod(os.listdir)
    utime = staticmethod(os.utime)


def sync_folder(file_system: FileSystem, folder: str, *, dir_fd: int | None = None) -> None:
    """Make the entries of a folder durable.

    Args:
        file_system: the system calls.
        folder: its path.
        dir_fd: descriptor of the folder to which the path is relative, if it is.

    Raises:
        OSError: it cannot be opened, or the sync failed.
    """
    fd = file_system.open(folder, DIRECTORY, dir_fd=dir_fd)
    try:
        file_system.fsync(fd)
    finally:
        file_system.close(fd)
