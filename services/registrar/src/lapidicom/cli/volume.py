"""CUBE's storage root and the spool, as this process sees them: looked at, and tried."""

import contextlib
import os
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

from lapidicom.cli.answers import Check, NotVisible, checked
from lapidicom.cli.in_thread import of_volume
from lapidicom.cli.snapshot import VolumeLook, size
from lapidicom.common.file_system import FileSystem
from lapidicom.common.instance.path import PACS_ROOT
from lapidicom.common.spool import SENTINEL
from lapidicom.common.volume import NOT_WRITABLE, try_volume

T = TypeVar("T")

NO_VOLUME: Final = NotVisible("CHRIS_FILES_ROOT is not set")

_AREA: Final = "volume"
_SECONDS: Final = 5.0
_MOUNT: Final = "set CHRIS_FILES_ROOT and mount the volume here, read-only at least"
_SEEN_BY_ALL_SECONDS: Final = 120.0
_MOST_FILES: Final = 1000
_INSTANCES: Final = "*/*/*/*/*.dcm"
"""Below SERVICES/PACS."""


def sentinel(spool: Path) -> str:
    """The volume's identity; empty if there is none, or it cannot be read."""
    try:
        return (spool / SENTINEL).read_text(encoding="ascii", errors="replace")[:64]
    except OSError:
        return ""


async def seen_of_volume(look: Callable[..., T | NotVisible], *places: Path | None) -> T | NotVisible:
    """What a look at the volume sees; what it raises is the reason why it sees nothing.

    Args:
        look: called with the places.
        places: CHRIS_FILES_ROOT or the spool, or both; None where it is not set.
    """
    if None in places:
        return NO_VOLUME
    try:
        return await of_volume(partial(look, *places), seconds=_SECONDS)
    except OSError as error:
        return NotVisible(f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror))


def stored_file(files_root: Path, spool: Path) -> str | NotVisible:
    """Path of an instance that CUBE must see, too, if it has the same volume; the first that is found.

    One that came just now may be hidden from CUBE by a network file system's cache.
    """
    if not sentinel(spool):
        return NotVisible("the receivers' volume is not mounted here")
    before = time.time() - _SEEN_BY_ALL_SECONDS
    for path in islice((files_root / PACS_ROOT).glob(_INSTANCES), _MOST_FILES):
        with contextlib.suppress(OSError, UnicodeError):
            if path.stat().st_mtime < before:
                return os.fsencode(path.relative_to(files_root)).decode()
    return NotVisible("no instance is stored yet, or all came just now")


def look_at_volume(needed_bytes: int, root: Path, spool: Path) -> VolumeLook:
    """Space, inodes and identity of the volume; blocks for as long as it does.

    Raises:
        OSError: there is nothing, or it does not answer.
    """
    found = os.statvfs(root)
    return VolumeLook(
        path=str(root),
        free_bytes=found.f_bavail * found.f_frsize,
        total_bytes=found.f_blocks * found.f_frsize,
        inodes=found.f_favail if found.f_files else None,
        sentinel=sentinel(spool),
        needed_bytes=needed_bytes,
    )


def check_space(volume: VolumeLook) -> list[Check]:
    """Whether receivers can use it: identity, space and inodes."""
    no_sentinel = "no sentinel: an empty mount point, or no receiver ever used it"
    mounted = f"{volume.path}, sentinel {volume.sentinel[:8]}"
    mount = "mount CUBE's storage at CHRIS_FILES_ROOT; if it is new, start a receiver"
    free, needed = size(volume.free_bytes), size(volume.needed_bytes)
    is_full = volume.free_bytes < volume.needed_bytes
    full = f"{free} free, below CHRIS_MIN_FREE_SPACE ({needed}): receivers refuse" if is_full else ""
    space = "free or add space; receivers go on by themselves at 10 % more"
    used_up = "no free inodes: receivers refuse" if volume.inodes == 0 else ""
    inodes = "the file system has no limit" if volume.inodes is None else f"{volume.inodes} free"
    return [
        checked(_AREA, "mounted", "" if volume.sentinel else no_sentinel, mounted, mount),
        checked(_AREA, "free space", full, f"{free}, CHRIS_MIN_FREE_SPACE is {needed} here", space),
        checked(_AREA, "inodes", used_up, inodes, "remove files, or make a file system with more inodes"),
    ]


async def check_volume(files_root: Path | None, spool: Path | None, needed_bytes: int) -> list[Check]:
    """All checks of the volume. What is written has scratch names.

    Args:
        files_root: CHRIS_FILES_ROOT, if it is set.
        spool: the spool in effect.
        needed_bytes: CHRIS_MIN_FREE_SPACE.
    """
    if files_root is None or spool is None:
        return [checked(_AREA, "mounted", NO_VOLUME, remedy=_MOUNT)]
    try:
        checks = check_space(await of_volume(partial(look_at_volume, needed_bytes, files_root, spool)))
        return [*checks, *await of_volume(partial(_try, files_root, spool))]
    except OSError as error:
        return [checked(_AREA, "mounted", f"{files_root}: {error.strerror}", remedy=_MOUNT)]


def _try(files_root: Path, spool: Path) -> list[Check]:
    """Do what receivers do, and tell each demand on the volume by its name."""
    if not spool.is_dir():
        return []
    with contextlib.ExitStack() as stack:
        fds = [os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) for path in (spool, files_root)]
        for fd in fds:
            stack.callback(os.close, fd)
        found = try_volume(FileSystem(), spool=fds[0], root=fds[1])
    first = found[0]
    if first.errno in NOT_WRITABLE:
        seen = NotVisible(f"{first.fault} for uid {os.getuid()}: only receivers must write")
        return [checked(_AREA, first.demand, seen, remedy="run `lapidicom doctor` where the receiver runs")]
    return [checked(_AREA, one.demand, one.fault or "", "tried", one.remedy) for one in found]
