"""A volume as network storage can be: slow, hanging, without hard links. Needs root and FUSE.

It passes every call through to a folder. What it does otherwise is set from the test, line by line:

    with fuse_volume(tmp_path) as volume:
        volume.sync_delay(0.005)          # each fsync of a file or a folder takes 5 ms longer
        with volume.hanging("fsync"):     # a server that has gone away: the calls come back when it returns
            ...
        volume.failing("link", errno.EPERM)
        volume.calls("fsync")             # how many have reached it
"""

import errno
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.support.polling import eventually
from tests.support.requirements import missing, not_allowed

THREADS: Final = 64
"""Calls that may hang at once; further ones wait behind them."""


class FuseVolume:
    """The mounted volume, as a test sees it.

    Args:
        root: where it is mounted.
        server: the process that serves it; takes a command a line and answers each with a line.
    """

    def __init__(self, root: Path, server: "subprocess.Popen[str]") -> None:
        self.root = root
        self._server = server

    def sync_delay(self, seconds: float) -> None:
        """Let each fsync and fdatasync, of files and folders, take so much longer."""
        self._tell("sync_delay", seconds)

    @contextmanager
    def hanging(self, *operations: str) -> Iterator[None]:
        """Let these calls hang until the block is left; they then go on and succeed."""
        for operation in operations:
            self._tell("hang", operation)
        try:
            yield
        finally:
            self.resume()

    def resume(self) -> None:
        """Let everything that hangs go on."""
        self._tell("resume")

    def hung(self) -> int:
        """How many calls hang now."""
        return int(self._tell("hung"))

    def failing(self, operation: str, error: int | None) -> None:
        """Let each such call fail with an errno; None lets them succeed again."""
        self._tell("fail", operation, error)

    def calls(self, operation: str) -> int:
        """How often a call has reached the volume."""
        return int(self._tell("calls", operation))

    def _tell(self, *command: object) -> Any:
        if self._server.stdin is None or self._server.stdout is None:
            raise RuntimeError("the server of the volume has no pipes")
        self._server.stdin.write(json.dumps(command) + "\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())


@contextmanager
def fuse_volume(folder: Path) -> Iterator[FuseVolume]:
    """Mount one; the test is skipped where that is not allowed."""
    if os.geteuid() != 0 or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        not_allowed("only root can mount a FUSE file system, with /dev/fuse")
    backing, root = folder / "backing", folder / "volume"
    backing.mkdir()
    root.mkdir()
    device = root.stat().st_dev
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.fuse_volume", str(backing), str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    volume = FuseVolume(root, server)
    try:
        try:
            eventually(
                lambda: root.stat().st_dev != device or server.poll() is not None,
                what="the volume is mounted",
            )
            if server.poll() is not None:
                missing("a FUSE volume cannot be mounted: install the package fuse3")
            yield volume
        finally:
            if server.poll() is None:
                volume.resume()
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=False, capture_output=True)
        server.kill()
        server.wait()
        for pipe in (server.stdin, server.stdout):
            if pipe is not None:
                pipe.close()


# -- the server's process ---------------------------------------------------------------------------


class _Behaviour:
    """What the calls do besides being passed on."""

    def __init__(self) -> None:
        self.sync_delay = 0.0
        self.failing: dict[str, int] = {}
        self.hanging: set[str] = set()
        self.hung = 0
        self.calls: Counter[str] = Counter()
        self._changed = threading.Condition()

    def meet(self, operation: str) -> None:
        """What each call does first.

        Raises:
            OSError: it is to fail.
        """
        with self._changed:
            self.calls[operation] += 1
            if operation in self.hanging:
                self.hung += 1
                self._changed.wait_for(lambda: operation not in self.hanging)
                self.hung -= 1
            error = self.failing.get(operation)
        if error is not None:
            raise OSError(error, os.strerror(error))
        if operation == "fsync" and self.sync_delay:
            time.sleep(self.sync_delay)

    def obey(self, command: list[Any]) -> object:
        """Do what the test says."""
        with self._changed:
            match command:
                case ["sync_delay", seconds]:
                    self.sync_delay = seconds
                case ["hang", operation]:
                    self.hanging.add(operation)
                case ["resume"]:
                    self.hanging.clear()
                    self._changed.notify_all()
                case ["fail", operation, None]:
                    self.failing.pop(operation, None)
                case ["fail", operation, error]:
                    self.failing[operation] = error
                case ["hung"]:
                    return self.hung
                case ["calls", operation]:
                    return self.calls[operation]
                case _:
                    raise ValueError(f"unknown command: {command}")
        return None


def _serve(backing: str, root: str) -> None:
    import mfusepy

    behaviour = _Behaviour()

    class PassThrough(mfusepy.Operations):  # type: ignore[misc] # the library has no types
        use_ns = True

        def _path(self, path: str) -> str:
            return backing + path

        def access(self, path: str, amode: int) -> int:
            behaviour.meet("access")
            if not os.access(self._path(path), amode):
                raise OSError(errno.EACCES if os.path.lexists(self._path(path)) else errno.ENOENT, "")
            return 0

        def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
            behaviour.meet("getattr")
            found = os.lstat(self._path(path))
            times = {
                "st_atime": found.st_atime_ns,
                "st_mtime": found.st_mtime_ns,
                "st_ctime": found.st_ctime_ns,
            }
            names = ("st_ino", "st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_blocks")
            return {**times, **{name: getattr(found, name) for name in names}}

        def statfs(self, path: str) -> dict[str, int]:
            found = os.statvfs(self._path(path))
            names = "f_bavail f_bfree f_blocks f_bsize f_favail f_ffree f_files f_flag f_frsize f_namemax"
            return {name: getattr(found, name) for name in names.split()}

        def mkdir(self, path: str, mode: int) -> int:
            behaviour.meet("mkdir")
            os.mkdir(self._path(path), mode)
            return 0

        def rmdir(self, path: str) -> int:
            behaviour.meet("rmdir")
            os.rmdir(self._path(path))
            return 0

        def unlink(self, path: str) -> int:
            behaviour.meet("unlink")
            os.unlink(self._path(path))
            return 0

        def rename(self, old: str, new: str) -> int:
            behaviour.meet("rename")
            os.rename(self._path(old), self._path(new))
            return 0

        def link(self, target: str, source: str) -> int:
            behaviour.meet("link")
            os.link(self._path(source), self._path(target))
            return 0

        def chmod(self, path: str, mode: int) -> int:
            os.chmod(self._path(path), mode)
            return 0

        def chown(self, path: str, uid: int, gid: int) -> int:
            os.chown(self._path(path), uid, gid)
            return 0

        def truncate(self, path: str, length: int, fh: int | None = None) -> int:
            os.truncate(self._path(path), length)
            return 0

        def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
            os.utime(self._path(path), ns=times or (time.time_ns(), time.time_ns()))
            return 0

        def create(self, path: str, mode: int, fi: Any = None) -> int:
            behaviour.meet("create")
            return os.open(self._path(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

        def open(self, path: str, flags: int) -> int:
            behaviour.meet("open")
            return os.open(self._path(path), flags & ~(os.O_CREAT | os.O_EXCL | os.O_APPEND))

        def read(self, path: str | None, size: int, offset: int, fh: int) -> bytes:
            behaviour.meet("read")
            return os.pread(fh, size, offset)

        def write(self, path: str | None, data: bytes, offset: int, fh: int) -> int:
            behaviour.meet("write")
            return os.pwrite(fh, data, offset)

        def fsync(self, path: str | None, datasync: int, fh: int) -> int:
            behaviour.meet("fsync")
            (os.fdatasync if datasync else os.fsync)(fh)
            return 0

        def release(self, path: str | None, fh: int) -> int:
            os.close(fh)
            return 0

        def opendir(self, path: str) -> int:
            behaviour.meet("opendir")
            return os.open(self._path(path), os.O_RDONLY | os.O_DIRECTORY)

        def readdir(self, path: str | None, fh: int) -> list[tuple[str, dict[str, int], int]]:
            # glibc takes an entry without an inode for a deleted one.
            with os.scandir(fh) as entries:
                found = [(one.name, {"st_ino": one.inode(), "st_mode": 0}, 0) for one in entries]
            return [(".", {"st_ino": 1, "st_mode": 0}, 0), ("..", {"st_ino": 1, "st_mode": 0}, 0), *found]

        def releasedir(self, path: str | None, fh: int) -> int:
            os.close(fh)
            return 0

        def fsyncdir(self, path: str | None, datasync: int, fh: int) -> int:
            behaviour.meet("fsync")
            os.fsync(fh)
            return 0

    def obey() -> None:
        for line in sys.stdin:
            print(json.dumps(behaviour.obey(json.loads(line))), flush=True)

    os.umask(0)
    threading.Thread(target=obey, daemon=True).start()
    # No cache of attributes or names: link counts are right under every name, as the journal looks at them.
    mfusepy.FUSE(
        PassThrough(),
        root,
        foreground=True,
        default_permissions=True,
        allow_other=True,
        hard_remove=True,
        use_ino=True,
        attr_timeout=0,
        entry_timeout=0,
        negative_timeout=0,
        max_threads=THREADS,
    )


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2])
