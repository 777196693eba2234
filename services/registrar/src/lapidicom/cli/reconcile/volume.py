"""Walks SERVICES/PACS in a fixed order, one series folder at a time, so that it can go on where it ended."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lapidicom.common.instance.path import PACS_ROOT

SUFFIX: Final = ".dcm"

_IN_A_SPACE: Final = PACS_ROOT.split("/")[0]
"""Folder that a space of progress files has, whatever its name is, and no PACS: no patient's is named so."""


@dataclass(frozen=True, slots=True)
class SeriesFolder:
    """A series folder, and the instances in it.

    Attributes:
        path: relative to the storage root. Patient data.
        files: when the last byte of each was received, seconds since the epoch, by name.
        fault: why the folder cannot be read; empty if it can.
    """

    path: str = field(repr=False)
    files: dict[str, float] = field(repr=False)
    fault: str = ""

    @property
    def pacs_name(self) -> str:
        """Third component of the path."""
        return self.path.split("/")[2]


def series_folders(
    root: Path, *, pacs: str | None = None, since: float = 0.0, after: str = ""
) -> Iterator[SeriesFolder | None]:
    """All series folders in the order of their paths' components; None for each one that is passed over.

    A folder that may not be read comes with its fault, at any level.

    Args:
        root: CUBE's storage root, as we see it.
        pacs: only those of this PACS.
        since: only folders in which something was made or removed since then, seconds since the epoch.
        after: only those behind this folder: where an earlier walk ended.

    Raises:
        OSError: SERVICES/PACS may not be read, or the volume does not answer.
    """
    for path in _below(root, PACS_ROOT, 4, after.split("/"), {pacs} if pacs is not None else None):
        try:
            is_meant = not since or (root / path).stat().st_mtime >= since
            yield SeriesFolder(path, _files(root / path)) if is_meant else None
        except PermissionError:
            yield SeriesFolder(path, {}, "it may not be read from here")
        except (FileNotFoundError, NotADirectoryError):
            yield None  # removed meanwhile


def _below(root: Path, path: str, levels: int, begin: list[str], only: set[str] | None) -> Iterator[str]:
    """The folders so many levels below a path; one that may not be read stands for all below it."""
    parts = path.split("/")
    if parts < begin[: len(parts)] or (levels == 0 and parts <= begin):
        return
    try:
        names = _folders(root / path) if levels else []
    except PermissionError:
        if path == PACS_ROOT:
            raise
        levels = 0
    if levels == 0:
        yield path
        return
    for name in names:
        is_space = name == _IN_A_SPACE and levels == 3
        if not is_space and (only is None or name in only):
            yield from _below(root, f"{path}/{name}", levels - 1, begin, None)


def _folders(path: Path) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []  # removed meanwhile, or no such PACS


def _files(path: Path) -> dict[str, float]:
    files = {}
    with os.scandir(path) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # removed just now
                if entry.name.endswith(SUFFIX) and entry.is_file(follow_symlinks=False):
                    files[entry.name] = entry.stat(follow_symlinks=False).st_mtime
    return dict(sorted(files.items()))
