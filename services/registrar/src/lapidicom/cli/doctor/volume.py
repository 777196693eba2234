"""Checks of the volume. What is written is written in a scratch folder of the spool, and removed again."""

import contextlib
import errno
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lapidicom.cli.doctor.check import Check, failed, passed, unseen
from lapidicom.cli.status.volume import sentinel

_AREA: Final = "volume"
_MOUNT: Final = "set CHRIS_FILES_ROOT and mount the volume here, read-only at least"
_NOT_WRITABLE: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


def check_volume(files_root: Path | None, spool: Path | None, needed_bytes: int) -> list[Check]:
    """All checks of the volume; blocks for as long as it does.

    Args:
        files_root: CHRIS_FILES_ROOT, if it is set.
        spool: the spool in effect.
        needed_bytes: CHRIS_MIN_FREE_SPACE.
    """
    if files_root is None or spool is None:
        return [unseen(_AREA, "mounted", "CHRIS_FILES_ROOT is not set", _MOUNT)]
    if not files_root.is_dir():
        return [failed(_AREA, "mounted", f"{files_root} is no directory", _MOUNT)]
    return [
        _mounted(files_root, spool),
        _space(files_root, needed_bytes),
        _inodes(files_root),
        *([_same_file_system(files_root, spool), _durable(spool)] if spool.is_dir() else ()),
    ]


def _mounted(files_root: Path, spool: Path) -> Check:
    identity = sentinel(spool)
    if identity:
        return passed(_AREA, "mounted", f"{files_root}, sentinel {identity[:8]}")
    return failed(
        _AREA,
        "mounted",
        f"no sentinel in {spool}: an empty mount point, or no receiver ever started on it",
        "mount CUBE's storage there; if it is new, start a receiver",
    )


def _space(files_root: Path, needed_bytes: int) -> Check:
    found = os.statvfs(files_root)
    free = found.f_bavail * found.f_frsize
    told = f"{free >> 20} MiB free, CHRIS_MIN_FREE_SPACE is {needed_bytes >> 20} MiB here"
    if free >= needed_bytes:
        return passed(_AREA, "free space", told)
    return failed(_AREA, "free space", told, "free or add space: receivers refuse instances (0xA700)")


def _inodes(files_root: Path) -> Check:
    found = os.statvfs(files_root)
    if not found.f_files:
        return passed(_AREA, "inodes", "the file system has no limit")
    if found.f_favail:
        return passed(_AREA, "inodes", f"{found.f_favail} free")
    return failed(_AREA, "inodes", "none free", "remove files, or make a file system with more inodes")


def _same_file_system(files_root: Path, spool: Path) -> Check:
    """Renames work within one mount only: two mounts of one file system are two to them."""
    if _mount(files_root) == _mount(spool):
        return passed(_AREA, "same file system", f"{spool} and {files_root}")
    return failed(
        _AREA,
        "same file system",
        f"{spool} and {files_root} are different mounts: files cannot be renamed from one to the other",
        "unset CHRIS_SPOOL_DIR, or let it be a folder of the volume of CHRIS_FILES_ROOT",
    )


def _mount(path: Path) -> tuple[int, str]:
    """What two paths have in common if a rename between them works."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        lines = Path(f"/proc/self/fdinfo/{fd}").read_text(encoding="ascii").splitlines()
    except OSError:
        lines = []
    finally:
        device = os.fstat(fd).st_dev
        os.close(fd)
    return device, next((line for line in lines if line.startswith("mnt_id:")), "")


def _durable(spool: Path) -> Check:
    """Do what each store does: write, fsync, rename, fsync of the folder."""
    name = "write, fsync, rename"
    try:
        with _scratch(spool) as folder:
            with (folder / "a").open("xb") as file:
                file.write(b"lapidicom")
                file.flush()
                os.fsync(file.fileno())
            (folder / "a").rename(folder / "b")
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
    except OSError as error:
        if error.errno in _NOT_WRITABLE:
            told = (
                f"{spool} is not writable for uid {os.getuid()}, gid {os.getgid()}: only receivers must write"
            )
            return unseen(_AREA, name, told, "run `lapidicom doctor` where the receiver runs")
        told = f"{spool}: {error.strerror}"
        return failed(_AREA, name, told, "mend the volume: receivers refuse every instance (0xA700)")
    return passed(_AREA, name, f"in {spool}")


@contextlib.contextmanager
def _scratch(spool: Path) -> Iterator[Path]:
    folder = spool / f"doctor-{uuid.uuid4().hex}"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):
            for name in ("a", "b"):
                (folder / name).unlink(missing_ok=True)
            folder.rmdir()
