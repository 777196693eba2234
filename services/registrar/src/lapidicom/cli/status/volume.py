"""Looks at CUBE's storage root and the spool, as this process sees them. Only reads."""

import os
from pathlib import Path

from lapidicom.cli.status.snapshot import VolumeLook
from lapidicom.cli.visibility import NotVisible
from lapidicom.common.spool import SENTINEL


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
    )


def sentinel(spool: Path) -> str:
    """The volume's identity; empty if there is none, or it cannot be read."""
    try:
        with (spool / SENTINEL).open(encoding="ascii", errors="replace") as file:
            return file.read(64)
    except OSError:
        return ""
