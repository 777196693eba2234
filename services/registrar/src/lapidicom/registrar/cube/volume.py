"""Looks at CUBE's storage through our own, read-only mount. Blocks for as long as the file system does."""

import errno
import stat
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from lapidicom.common.spool import SENTINEL
from lapidicom.registrar.cube.contract import PATH_PREFIX
from lapidicom.registrar.cube.outcomes import Sight

ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP})
"""No such file; any other error means that the volume does not answer."""


def look(files_root: Path, path: str) -> Sight:
    """Whether the file is there for us.

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


class Claim(Enum):
    """Whether our mount is the volume that receivers claimed by their sentinel."""

    RECEIVERS = auto()
    NONE_YET = auto()
    """No sentinel has been seen there so far."""
    OTHER = auto()
    """The sentinel is another one than before, or gone."""
    UNREADABLE = auto()


@dataclass(slots=True)
class Volume:
    """Our mount of the volume, known by the sentinel that was seen there first.

    Attributes:
        files_root: our mount of CUBE's storage root.
        spool: the receivers' spool on it.
    """

    files_root: Path
    spool: Path
    _identity: str = ""

    def claim(self) -> Claim:
        """Whose volume this is now."""
        try:
            with (self.spool / SENTINEL).open(encoding="ascii", errors="replace") as file:
                identity = file.read(64)
        except OSError as error:
            if error.errno not in ABSENT:
                return Claim.UNREADABLE
            identity = ""
        self._identity = self._identity or identity
        if not self._identity:
            return Claim.NONE_YET
        return Claim.RECEIVERS if identity == self._identity else Claim.OTHER

    def look(self, path: str) -> Sight:
        """Whether the file is there for us; it is missing only from the receivers' own volume.

        A receiver makes its sentinel before it takes an instance: without one this is not where the file
        was written.
        """
        sight = look(self.files_root, path)
        if sight is Sight.ABSENT and self.claim() is not Claim.RECEIVERS:
            return Sight.VOLUME_GONE
        return sight
