"""CUBE's storage root and the spool, as this process sees them: looked at, and tried."""

import contextlib
import os
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from lapidicom.cli.check import Check, failed, passed, unseen
from lapidicom.cli.errors import NotVisible
from lapidicom.common.file_system import FileSystem
from lapidicom.common.instance.path import PACS_ROOT
from lapidicom.common.spool import SENTINEL
from lapidicom.common.volume import NOT_WRITABLE, try_volume

_AREA: Final = "volume"
_MOUNT: Final = "set CHRIS_FILES_ROOT and mount the volume here, read-only at least"
_SEEN_BY_ALL_SECONDS: Final = 120.0
_MOST_FILES: Final = 1000
_DEPTH: Final = 4
"""Folders between SERVICES/PACS and an instance."""


def sentinel(spool: Path) -> str:
    """The volume's identity; empty if there is none, or it cannot be read."""
    try:
        return (spool / SENTINEL).read_text(encoding="ascii", errors="replace")[:64]
    except OSError:
        return ""


def stored_file(files_root: Path | None, spool: Path | None) -> str | NotVisible:
    """Path of an instance that CUBE must see, too, if it has the same volume; the first that is found.

    One that came just now may be hidden from CUBE by a network file system's cache.
    """
    if files_root is None or spool is None:
        return NotVisible("CHRIS_FILES_ROOT is not set")
    if not sentinel(spool):
        return NotVisible("the receivers' volume is not mounted here")
    before = time.time() - _SEEN_BY_ALL_SECONDS
    for path in islice(_files_below(files_root / PACS_ROOT, _DEPTH), _MOST_FILES):
        with contextlib.suppress(OSError, UnicodeError):
            if path.stat().st_mtime < before:
                return os.fsencode(path.relative_to(files_root)).decode()
    return NotVisible("no instance is stored yet, or all came just now")


def _files_below(folder: Path, levels: int) -> Iterator[Path]:
    try:
        for path in folder.iterdir():
            if levels == 0 and path.suffix == ".dcm":
                yield path
            elif levels and path.is_dir():
                yield from _files_below(path, levels - 1)
    except OSError:
        return  # removed meanwhile, or not for us


def check_volume(files_root: Path | None, spool: Path | None, needed_bytes: int) -> list[Check]:
    """All checks of the volume; blocks for as long as it does. What is written has scratch names.

    Args:
        files_root: CHRIS_FILES_ROOT, if it is set.
        spool: the spool in effect.
        needed_bytes: CHRIS_MIN_FREE_SPACE.
    """
    if files_root is None or spool is None:
        return [unseen(_AREA, "mounted", "CHRIS_FILES_ROOT is not set", _MOUNT)]
    if not files_root.is_dir():
        return [failed(_AREA, "mounted", f"{files_root} is no directory", _MOUNT)]
    found = os.statvfs(files_root)
    free = found.f_bavail * found.f_frsize
    told = f"{free >> 20} MiB free, CHRIS_MIN_FREE_SPACE is {needed_bytes >> 20} MiB here"
    inodes = f"{found.f_favail} free" if found.f_files else "the file system has no limit"
    identity = sentinel(spool)
    return [
        passed(_AREA, "mounted", f"{files_root}, sentinel {identity[:8]}")
        if identity
        else failed(
            _AREA,
            "mounted",
            f"no sentinel in {spool}: an empty mount point, or no receiver ever started on it",
            "mount CUBE's storage there; if it is new, start a receiver",
        ),
        passed(_AREA, "free space", told)
        if free >= needed_bytes
        else failed(_AREA, "free space", told, "free or add space: receivers refuse instances (0xA700)"),
        passed(_AREA, "inodes", inodes)
        if found.f_favail or not found.f_files
        else failed(_AREA, "inodes", "none free", "remove files, or make a file system with more inodes"),
        *(_demands(files_root, spool) if spool.is_dir() else ()),
    ]


def _demands(files_root: Path, spool: Path) -> list[Check]:
    """Do what receivers do, and tell each demand on the volume by its name."""
    with contextlib.ExitStack() as stack:
        fds = [os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) for path in (spool, files_root)]
        for fd in fds:
            stack.callback(os.close, fd)
        found = try_volume(FileSystem(), spool=fds[0], root=fds[1])
    if found[0].errno in NOT_WRITABLE:
        told = f"{found[0].fault} for uid {os.getuid()}: only receivers must write"
        return [unseen(_AREA, found[0].demand, told, "run `lapidicom doctor` where the receiver runs")]
    return [
        passed(_AREA, one.demand, "tried")
        if one.fault is None
        else failed(_AREA, one.demand, one.fault, one.remedy)
        for one in found
    ]
