"""Where a benchmark writes: a temporary folder in memory if there is room, named by its file system."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_IN_MEMORY = Path("/dev/shm")
_ROOM = 4 << 30


@contextmanager
def folder_in_memory() -> Iterator[Path]:
    """A temporary folder on /dev/shm, or in the usual place where that is too small; removed at the end."""
    fits = _IN_MEMORY.is_dir() and os.access(_IN_MEMORY, os.W_OK)
    if fits:
        room = os.statvfs(_IN_MEMORY)
        fits = room.f_bavail * room.f_frsize >= _ROOM
    folder = Path(tempfile.mkdtemp(prefix="lapidicom-bench-", dir=_IN_MEMORY if fits else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def file_system_of(path: Path) -> str:
    """The file system's type and mount point, such as `tmpfs at /dev/shm`; whether an ext4 has a journal."""
    real = path.resolve()
    best, kind = Path("/"), "unknown file system"
    for line in Path("/proc/self/mounts").read_text().splitlines():
        device, mount, name, *_ = line.split()
        if name == "ext4":
            name = f"ext4 {'with' if _has_journal(device) else 'without'} a journal"
        point = Path(mount.encode("ascii", "backslashreplace").decode("unicode_escape"))
        if real.is_relative_to(point) and len(point.parts) >= len(best.parts):
            best, kind = point, name
    return f"{kind} at {best}"


def _has_journal(device: str) -> bool:
    """Whether the kernel keeps a journal for a mounted ext4: without one, syncs are unusually cheap."""
    return any(Path("/proc/fs/jbd2").glob(f"{Path(device).name}-*"))
