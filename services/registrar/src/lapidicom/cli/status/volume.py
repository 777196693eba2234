"""Looks at CUBE's storage root and the spool, as this process sees them. Only reads."""

import contextlib
import os
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from lapidicom.cli.errors import NotVisible
from lapidicom.cli.status.snapshot import VolumeLook
from lapidicom.common.instance.path import PACS_ROOT
from lapidicom.common.spool import SENTINEL

_SEEN_BY_ALL_SECONDS: Final = 120.0
_MOST_FILES: Final = 1000
_DEPTH: Final = 4
"""Folders between SERVICES/PACS and an instance."""


def look_at_volume(files_root: Path | None, spool: Path | None, needed_bytes: int) -> VolumeLook | NotVisible:
    """The volume; blocks for as long as it does.

    Args:
        files_root: CHRIS_FILES_ROOT, if it is set.
        spool: the spool in effect.
        needed_bytes: CHRIS_MIN_FREE_SPACE.
    """
    if files_root is None or spool is None:
        return NotVisible("CHRIS_FILES_ROOT is not set")
    try:
        found = os.statvfs(files_root)
    except OSError as error:
        return NotVisible(f"{files_root}: {error.strerror}")
    return VolumeLook(
        path=str(files_root),
        free_bytes=found.f_bavail * found.f_frsize,
        total_bytes=found.f_blocks * found.f_frsize,
        inodes=found.f_favail if found.f_files else None,
        sentinel=sentinel(spool),
        needed_bytes=needed_bytes,
        stored=stored_file(files_root, spool),
    )


def stored_file(files_root: Path, spool: Path) -> str | NotVisible:
    """Path of an instance that CUBE must see, too, if it has the same volume; the first that is found.

    One that came just now may be hidden from CUBE by a network file system's cache.
    """
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


def sentinel(spool: Path) -> str:
    """The volume's identity; empty if there is none, or it cannot be read."""
    try:
        with (spool / SENTINEL).open(encoding="ascii", errors="replace") as file:
            return file.read(64)
    except OSError:
        return ""
