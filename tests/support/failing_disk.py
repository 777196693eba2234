"""A small ext4 file system that becomes read-only under its users, as on a failing disk. Needs root."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.polling import eventually
from tests.support.requirements import not_allowed


class FailingDisk:
    """A mounted ext4 in a file.

    Args:
        image: the file.
        root: where it is mounted.
    """

    def __init__(self, image: Path, root: Path) -> None:
        self.root = root
        self._image = image

    def mount(self) -> None:
        """Mount it, read and write."""
        _run("mount", "-o", "loop,errors=remount-ro", str(self._image), str(self.root))

    def unmount(self) -> None:
        """Unmount it, once nobody has files of it open any more."""
        eventually(self._is_unmounted, what="nobody uses the disk")

    def _is_unmounted(self) -> bool:
        try:
            _run("umount", str(self.root))
        except OSError:
            return False  # a process that was killed just now may not have ended yet
        return True

    def fail(self) -> None:
        """Let the kernel find an error: from now on it takes no writes, from open files neither."""
        device = Path(_run("findmnt", "--noheadings", "--output", "SOURCE", str(self.root)).strip())
        Path("/sys/fs/ext4", device.name, "trigger_fs_error").write_text("1")


@contextmanager
def failing_disk(folder: Path, megabytes: int) -> Iterator[FailingDisk]:
    """Make one and mount it on a folder; the test is skipped where that is not allowed."""
    root = folder / "disk"
    root.mkdir()
    image = folder / "disk.img"
    if os.geteuid() != 0:
        not_allowed("only root can mount a file system")
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    disk = FailingDisk(image, root)
    try:
        _run("mkfs.ext4", "-q", str(image))
        disk.mount()
    except (FileNotFoundError, OSError) as error:
        not_allowed(f"an ext4 in a file cannot be mounted here: {error}")
    try:
        yield disk
    finally:
        _run("umount", "--lazy", str(root))


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
