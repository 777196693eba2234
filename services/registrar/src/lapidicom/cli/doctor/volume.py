"""Checks of the volume. What is written has scratch names, and is removed again."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from lapidicom.cli.doctor.check import Check, failed, passed, unseen
from lapidicom.cli.status.volume import sentinel
from lapidicom.common.file_system import FileSystem
from lapidicom.common.volume import NOT_WRITABLE, try_volume

_AREA: Final = "volume"
_MOUNT: Final = "set CHRIS_FILES_ROOT and mount the volume here, read-only at least"


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
        *(_demands(files_root, spool) if spool.is_dir() else ()),
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


def _demands(files_root: Path, spool: Path) -> list[Check]:
    """Do what receivers do, and tell each demand on the volume by its name."""
    with ExitStack() as stack:
        fds = [_opened(stack, path) for path in (spool, files_root)]
        found = try_volume(FileSystem(), spool=fds[0], root=fds[1])
    first = found[0]
    if first.errno in NOT_WRITABLE:
        told = f"{first.fault} for uid {os.getuid()}: only receivers must write"
        return [unseen(_AREA, first.demand, told, "run `lapidicom doctor` where the receiver runs")]
    return [
        passed(_AREA, one.demand, "tried")
        if one.fault is None
        else failed(_AREA, one.demand, one.fault, one.remedy)
        for one in found
    ]


def _opened(stack: ExitStack, folder: Path) -> int:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    stack.callback(os.close, fd)
    return fd
