"""For how long a client of a network file system may go on showing an old directory.

A file that another client has made may be missing there meanwhile. Local file systems have no such cache.
"""

import re
from pathlib import Path
from typing import Final

DEFAULT_SECONDS: Final = 60.0
"""acdirmax of NFS where the mount's options do not tell (nfs(5)); no other client here keeps them longer."""

_NETWORK: Final = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "fuse",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "smb2",
        "smb3",
        "smbfs",
        "virtiofs",
    }
)
"""Types of file systems, as proc(5) names them, up to the first dot: any of FUSE may be one of a network."""

_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


def directory_cache_seconds(path: Path) -> float:
    """The longest age of a directory's cached content at a path; 0 on a local file system."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return DEFAULT_SECONDS
    return cache_seconds_of(mounts, str(path.resolve()))


def cache_seconds_of(mountinfo: str, path: str) -> float:
    """The same, of the text of /proc/self/mountinfo (proc(5)). Pure.

    Args:
        mountinfo: of this process.
        path: absolute, without symbolic links.
    """
    best, seconds = -1, DEFAULT_SECONDS
    for line in mountinfo.splitlines():
        mounted, separator, source = line.partition(" - ")
        fields, about = mounted.split(" "), source.split(" ")
        if not separator or len(fields) < 6 or len(about) < 3:
            continue
        point = _ESCAPED.sub(lambda match: chr(int(match[1], 8)), fields[4]).rstrip("/")
        # The deepest mount point counts, and of several there the last.
        if len(point) >= best and (path == point or path.startswith(f"{point}/")):
            best, seconds = len(point), _seconds(about[0], f"{fields[5]},{about[2]}".split(","))
    return seconds


def _seconds(kind: str, options: list[str]) -> float:
    if kind.partition(".")[0] not in _NETWORK:
        return 0.0
    if "noac" in options:
        return 0.0
    values = dict(option.partition("=")[::2] for option in options)
    for name in ("acdirmax", "actimeo"):
        if values.get(name, "").isdigit():
            return float(values[name])
    return DEFAULT_SECONDS
