"""Walks SERVICES/PACS in a fixed order, one series folder at a time, so that it can go on where it ended."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lapidicom.common.instance.path import PACS_ROOT

SUFFIX: Final = ".dcm"

PROGRESS_FILES: Final = "org.fnndsc.oxidicom"
"""Below SERVICES/PACS: files about the progress of series, no instances."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of an instance.

    Attributes:
        size: bytes.
        modified: seconds since the epoch: when its last byte was received.
    """

    size: int
    modified: float


@dataclass(frozen=True, slots=True)
class SeriesFolder:
    """A series folder, and the instances in it.

    Attributes:
        path: relative to the storage root. Patient data.
        files: by name; what does not end in `.dcm` is none of ours.
    """

    path: str = field(repr=False)
    files: dict[str, StoredFile] = field(repr=False)

    @property
    def pacs_name(self) -> str:
        """Third component of the path."""
        return self.path.split("/")[2]


def series_folders(
    root: Path, *, pacs: str | None = None, since: float = 0.0, after: str = ""
) -> Iterator[SeriesFolder]:
    """All series folders in the order of their paths' components.

    Args:
        root: CUBE's storage root, as we see it.
        pacs: only those of this PACS.
        since: only folders in which something was made or removed since then, seconds since the epoch.
        after: only those behind this folder: where an earlier walk ended.

    Raises:
        OSError: the volume cannot be read.
    """
    names = (
        [pacs]
        if pacs is not None
        else [name for name in _folders(root / PACS_ROOT) if name != PROGRESS_FILES]
    )
    begin = after.split("/")
    for name in names:
        for path in _below(root, f"{PACS_ROOT}/{name}", 3, begin):
            if not since or _modified(root / path) >= since:
                files = _files(root / path)
                if files is not None:
                    yield SeriesFolder(path, files)


def _below(root: Path, path: str, levels: int, begin: list[str]) -> Iterator[str]:
    parts = path.split("/")
    place = begin[: len(parts)]
    if parts < place or (levels == 0 and parts <= begin):
        return
    if levels == 0:
        yield path
        return
    for name in _folders(root / path):
        yield from _below(root, f"{path}/{name}", levels - 1, begin)


def _folders(path: Path) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []  # removed meanwhile, or no such PACS


def _files(path: Path) -> dict[str, StoredFile] | None:
    """None if the folder is gone."""
    files = {}
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.endswith(SUFFIX) and entry.is_file(follow_symlinks=False):
                    found = entry.stat(follow_symlinks=False)
                    files[entry.name] = StoredFile(found.st_size, found.st_mtime)
    except FileNotFoundError:
        return None
    return dict(sorted(files.items()))


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
