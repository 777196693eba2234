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
from lapidicom.cli.snapshot import VolumeLook
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


def look_at_volume(root: Path | None, spool: Path | None, needed_bytes: int) -> VolumeLook | NotVisible:
    """Space, inodes and identity of the volume; blocks for as long as it does."""
    if root is None or spool is None:
        return NotVisible("CHRIS_FILES_ROOT is not set")
    try:
        found = os.statvfs(root)
    except OSError as error:
        return NotVisible(f"{root}: {error.strerror}")
    return VolumeLook(
        path=str(root),
        free_bytes=found.f_bavail * found.f_frsize,
        total_bytes=found.f_blocks * found.f_frsize,
        inodes=found.f_favail if found.f_files else None,
        sentinel=sentinel(spool),
        needed_bytes=needed_bytes,
    )


def check_volume(files_root: Path | None, spool: Path | None, needed_bytes: int) -> list[Check]:
    """All checks of the volume; blocks for as long as it does. What is written has scratch names.

    Args:
        files_root: CHRIS_FILES_ROOT, if it is set.
        spool: the spool in effect.
        needed_bytes: CHRIS_MIN_FREE_SPACE.
    """
    if files_root is None or spool is None:
        return [unseen(_AREA, "mounted", "CHRIS_FILES_ROOT is not set", _MOUNT)]
    found = look_at_volume(files_root, spool, needed_bytes)
    if isinstance(found, NotVisible) or not files_root.is_dir():
        return [failed(_AREA, "mounted", f"{files_root} is no directory", _MOUNT)]
    space = f"{found.free_bytes >> 20} MiB free, CHRIS_MIN_FREE_SPACE is {needed_bytes >> 20} MiB here"
    inodes = "the file system has no limit" if found.inodes is None else f"{found.inodes} free"
    no_sentinel = f"no sentinel in {spool}: an empty mount point, or no receiver ever started on it"
    return [
        passed(_AREA, "mounted", f"{files_root}, sentinel {found.sentinel[:8]}")
        if found.sentinel
        else failed(
            _AREA, "mounted", no_sentinel, "mount CUBE's storage there; if it is new, start a receiver"
        ),
        passed(_AREA, "free space", space)
        if found.free_bytes >= needed_bytes
        else failed(_AREA, "free space", space, "free or add space: receivers refuse instances (0xA700)"),
        passed(_AREA, "inodes", inodes)
        if found.inodes != 0
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
        seen = f"{found[0].fault} for uid {os.getuid()}: only receivers must write"
        return [unseen(_AREA, found[0].demand, seen, "run `lapidicom doctor` where the receiver runs")]
    return [
        passed(_AREA, one.demand, "tried")
        if one.fault is None
        else failed(_AREA, one.demand, one.fault, one.remedy)
        for one in found
    ]
