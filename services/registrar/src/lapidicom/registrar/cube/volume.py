"""Looks at CUBE's storage through our own, read-only mount, and counts what only CUBE cannot see."""

import errno
import stat
from pathlib import Path

from lapidicom.registrar.cube.contract import PATH_PREFIX
from lapidicom.registrar.cube.outcomes import Sight

WRONG_STORAGE = 10
"""Different files that we see and CUBE does not, with no success between them."""

ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP})
"""No such file; any other error means that the volume does not answer."""


def look(files_root: Path, path: str) -> Sight:
    """Whether the file is there for us; blocks, for as long as the file system does.

    A volume without SERVICES/PACS is not mounted: the message proves that a receiver wrote there.

    Args:
        files_root: our mount of CUBE's storage root.
        path: relative to it, normal.
    """
    try:
        if stat.S_ISREG((files_root / path).stat().st_mode):
            return Sight.THERE
    except OSError as error:
        if error.errno not in ABSENT:
            return Sight.VOLUME_GONE
    try:
        (files_root / PATH_PREFIX).stat()
    except OSError:
        return Sight.VOLUME_GONE
    return Sight.ABSENT


class Invisible:
    """Remembers which files CUBE could not see since it last saw one."""

    def __init__(self, limit: int = WRONG_STORAGE) -> None:
        self._limit = limit
        self._paths: set[str] = set()

    def add(self, path: str) -> bool:
        """Note one; true if by now CUBE must be looking at another storage."""
        if len(self._paths) < self._limit:
            self._paths.add(path)
        return len(self._paths) >= self._limit

    def clear(self) -> None:
        """CUBE has seen a file."""
        self._paths.clear()
