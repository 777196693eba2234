"""A small file system of memory, for disks that fill up. Only root can mount one."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.requirements import not_allowed

PAGE = os.sysconf("SC_PAGE_SIZE")


class SmallVolume:
    """A mounted tmpfs, and a file in it that takes what space a test does not want to be there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._ballast = root / "ballast"
        self._ballast.touch()

    def leave(self, pages: int) -> None:
        """Leave so many pages free."""
        free = os.statvfs(self.root).f_bavail * os.statvfs(self.root).f_frsize // PAGE
        size = self._ballast.stat().st_size + (free - pages) * PAGE
        if free > pages:
            with self._ballast.open("r+b") as ballast:
                os.posix_fallocate(ballast.fileno(), 0, size)
        else:
            os.truncate(self._ballast, max(0, size))

    def free(self) -> None:
        """Give all its space back."""
        os.truncate(self._ballast, 0)


@contextmanager
def small_volume(folder: Path, size: int) -> Iterator[SmallVolume]:
    """Mount a tmpfs of so many bytes on a folder; the test is skipped where that is not allowed."""
    folder.mkdir()
    if os.geteuid() != 0:
        not_allowed("only root can mount a small tmpfs")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        not_allowed(f"a small tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield SmallVolume(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
