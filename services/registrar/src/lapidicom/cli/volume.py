"""CUBE's storage root and the spool, as this process sees them: looked at, and tried."""

import contextlib
import os
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

from lapidicom.cli.answers import Check, NotVisible, Result, checked
from lapidicom.cli.in_thread import VOLUME_SECONDS, of_volume
from lapidicom.cli.settings import CommandSettings
from lapidicom.cli.times import size
from lapidicom.common.file_system import FileSystem
from lapidicom.common.instance.path import PACS_ROOT
from lapidicom.common.open_series import HEALING
from lapidicom.common.spool import SENTINEL
from lapidicom.common.volume import NOT_WRITABLE, try_volume

T = TypeVar("T")

AREA: Final = "volume"
_SECONDS: Final = 5.0
_ENOUGH: Final = 1.1
"""Of CHRIS_MIN_FREE_SPACE: receivers that refuse go on with so much."""

_HEALING_SECONDS: Final = 3600.0
"""A series is healed within minutes: a mark that is older was left by a run that was killed."""

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


async def seen_of_volume(
    look: Callable[..., T | NotVisible], *places: Path | None, seconds: float = _SECONDS
) -> T | NotVisible:
    """What a look at the volume sees; what it raises is the reason why it sees nothing.

    Args:
        look: called with the places.
        places: CHRIS_FILES_ROOT or the spool, or both; None where it is not set.
        seconds: the longest wait.
    """
    if None in places:
        return NotVisible("CHRIS_FILES_ROOT is not set")
    try:
        return await of_volume(partial(look, *places), seconds=seconds)
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


async def look_at_volume(settings: CommandSettings) -> list[Check]:
    """Identity, space and inodes of the volume, and series whose healing was not finished."""
    needed = int(settings.min_free_space)

    def look(root: Path, spool: Path) -> list[Check]:
        space = check_space(os.statvfs(root), root, sentinel(spool), needed)
        return [*space, *check_healing(spool, time.time())]

    seen = await seen_of_volume(look, settings.files_root, settings.spool)
    return [checked(AREA, "mounted", seen, remedy=_MOUNT)] if isinstance(seen, NotVisible) else seen


def check_space(found: os.statvfs_result, root: Path, identity: str, needed: int) -> list[Check]:
    """Whether receivers can use a volume; without their sentinel it may be another one than theirs.

    Args:
        found: its file system.
        root: where it is mounted.
        identity: the sentinel; empty if there is none.
        needed: CHRIS_MIN_FREE_SPACE, bytes.
    """
    bad = Result.FAIL if identity else Result.DEGRADED
    available = found.f_bavail * found.f_frsize
    free = f"{size(available)} free of {size(found.f_blocks * found.f_frsize)}"
    missing = "" if identity else "no sentinel: an empty mount point, or no receiver ever used it"
    mounted = f"{root}, sentinel {identity[:8]}"
    mount = "mount CUBE's storage at CHRIS_FILES_ROOT; if it is new, start a receiver"
    full = f"{free}, below CHRIS_MIN_FREE_SPACE ({size(needed)}): receivers refuse"
    if available >= needed:
        full = f"{free}, within 10 % of CHRIS_MIN_FREE_SPACE ({size(needed)}): receivers refuse, or soon will"
    full_is = bad if available < needed else Result.DEGRADED
    fault = full if available < needed * _ENOUGH else ""
    space = "free or add space; receivers go on by themselves at 10 % more"
    used_up = "no free inodes: receivers refuse" if found.f_files and not found.f_favail else ""
    inodes = "remove files, or make a file system with more inodes"
    return [
        checked(AREA, "mounted", missing, mounted, mount, bad=Result.DEGRADED),
        checked(AREA, "free space", fault, free, space, bad=full_is, count=available),
        checked(AREA, "inodes", used_up, "inodes left", inodes, bad=bad),
    ]


def check_healing(spool: Path, now: float) -> list[Check]:
    """Series that receivers refuse because `lapidicom heal` has not ended.

    Args:
        spool: of the receivers.
        now: seconds since the epoch.
    """
    old = []
    for mark in sorted((spool / HEALING).glob("*/*")):
        with contextlib.suppress(FileNotFoundError):
            if now - mark.stat().st_mtime > _HEALING_SECONDS:
                old.append(f"{mark.name} from {mark.parent.name}")
    if not old:
        return []
    fault = (
        f"healing of {len(old)} series began over an hour ago, receivers refuse them: {', '.join(old[:3])}"
    )
    remedy = "run `lapidicom heal SERIES --fix` again: it goes on where it was"
    return [checked(AREA, "healing", fault, remedy=remedy, bad=Result.DEGRADED)]


async def check_volume(settings: CommandSettings) -> list[Check]:
    """All checks of the volume. What is written has scratch names."""
    tried = await seen_of_volume(_try, settings.files_root, settings.spool, seconds=VOLUME_SECONDS)
    if isinstance(tried, NotVisible):
        fault = tried.reason if settings.files_root else tried
        return [checked(AREA, "mounted", fault, remedy=_MOUNT)]
    return [*await look_at_volume(settings), *tried]


def _try(files_root: Path, spool: Path) -> list[Check]:
    """Do what receivers do, and tell each demand on the volume by its name."""
    if files_root.is_dir() and not spool.is_dir():
        return []  # no receiver has used it yet
    with contextlib.ExitStack() as stack:
        fds = [os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) for path in (files_root, spool)]
        for fd in fds:
            stack.callback(os.close, fd)
        found = try_volume(FileSystem(), root=fds[0], spool=fds[1])
    first = found[0]
    if first.errno in NOT_WRITABLE:
        seen = NotVisible(f"{first.fault} for uid {os.getuid()}: only receivers must write")
        return [checked(AREA, first.demand, seen, remedy="run `lapidicom doctor` where the receiver runs")]
    return [checked(AREA, one.demand, one.fault or "", "tried", one.remedy) for one in found]
