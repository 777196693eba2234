"""Holds a series while it is healed: its mark, and a second name under the spool for each of its files.

The mark is a lock, too (flock): of two runs on one series one works. It holds the aim, which nothing else
shows once CUBE has forgotten the folder. All names are hard links, so a file has at any moment a name in its
folder or one under the spool, mostly both, and no byte is copied. Each function may block as the volume does.
"""

import contextlib
import fcntl
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

from lapidicom.cli.errors import OperatorError
from lapidicom.cli.heal.plan import Aim
from lapidicom.cli.in_thread import Pulse
from lapidicom.common.file_system import FileSystem, sync_folder
from lapidicom.common.instance.path import PACS_ROOT
from lapidicom.common.open_series import healing_links, healing_mark

Advance = Callable[[int], None]

_FOLDER_MODE: Final = 0o775
_FILE_MODE: Final = 0o664
_MOST_BYTES: Final = 8192
_MARK: Final = os.O_RDWR | os.O_CLOEXEC


class Hold:
    """Mark and links of one series.

    Args:
        root: CUBE's storage root.
        spool: of the receivers, on the same file system.
        pacs: of the series.
        uid: SeriesInstanceUID.
        file_system: the system calls.

    Attributes:
        pulse: beats with each file that is looked at, linked or unlinked.
    """

    def __init__(
        self, root: Path, spool: Path, pacs: str, uid: str, file_system: FileSystem | None = None
    ) -> None:
        self.root, self.spool, self.pacs, self.uid = root, spool, pacs, uid
        self.pulse = Pulse()
        self._fs = file_system or FileSystem()
        self._mark = f"{spool}/{healing_mark(pacs, uid)}"
        self._links = f"{spool}/{healing_links(pacs, uid)}"
        self._descriptor = -1

    def aim(self) -> Aim | None:
        """What an earlier run wanted of the series, by its mark; None if it did not come so far.

        Raises:
            OperatorError: a newer version made the mark.
        """
        try:
            descriptor = self._fs.open(self._mark, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            line, end, _ = self._fs.pread(descriptor, _MOST_BYTES, 0).partition(b"\n")
            return Aim(**json.loads(line)) if end else None
        except (TypeError, ValueError):
            what = "the mark of this series was not made by this version"
            raise OperatorError(what, "run the version that began to heal it") from None
        finally:
            self._fs.close(descriptor)

    def take(self) -> None:
        """Hold a mark that is there, against other runs.

        Raises:
            BlockingIOError: another run holds it.
        """
        with contextlib.suppress(FileNotFoundError):
            self._take()

    def mark(self, aim: Aim) -> None:
        """Make the mark, durably, and hold it.

        Raises:
            BlockingIOError: another run was faster.
            OSError: it cannot be made, or this volume has no locks; then there is none.
        """
        folder = _parent(self._mark)
        self._make_folders(folder)
        try:
            self._take(os.O_CREAT)
            self._fs.pwrite(self._descriptor, json.dumps(asdict(aim)).encode() + b"\n", 0)
            self._fs.fsync(self._descriptor)
            self._sync_upwards(folder, f"{self.spool}")
        except BlockingIOError:
            raise
        except OSError:
            with contextlib.suppress(OSError):
                self._fs.unlink(self._mark)
            raise

    def unmark(self) -> None:
        """Remove the mark, and let go of it; and the folder of links, which is empty."""
        for folder in reversed(self._folders(self._links)):
            with contextlib.suppress(FileNotFoundError):
                self._fs.rmdir(folder)
        self._fs.unlink(self._mark)
        self.let_go()

    def let_go(self) -> None:
        """Let another run hold the mark, if it is there."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def files(self, folder: str) -> dict[str, int]:
        """Inodes of all files of a folder, by their paths below it."""
        return self._inodes(f"{self.root}/{folder}")

    def links(self) -> dict[str, int]:
        """Inodes of all links, by the paths of their files below the folder."""
        return self._inodes(self._links)

    def link(self, names: Iterable[str], folder: str, advance: Advance) -> None:
        """Make links of files of a folder; they are durable once `sync_links` has returned."""
        self._link(names, f"{self.root}/{folder}", self._links, advance)

    def link_back(self, names: Iterable[str], folder: str, advance: Advance) -> None:
        """Give files their names in the folder again; they are durable once `sync_folder` has returned."""
        self._link(names, self._links, f"{self.root}/{folder}", advance)

    def sync_links(self) -> None:
        """Make the links durable, also those that an earlier run has made."""
        self._sync(self._links, f"{self.spool}")

    def sync_folder(self, folder: str) -> None:
        """Make the names in the folder durable."""
        self._sync(f"{self.root}/{folder}", f"{self.root}/{PACS_ROOT}")

    def remove_links(self, advance: Advance) -> None:
        """Remove all links: each file must have its durable name in the folder."""
        for name in self.links():
            self._fs.unlink(f"{self._links}/{name}")
            self._done(advance)

    def _take(self, flags: int = 0) -> None:
        while self._descriptor < 0:
            descriptor = self._fs.open(self._mark, _MARK | flags, _FILE_MODE)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._fs.fstat(descriptor).st_ino == self._inode(self._mark):
                    self._descriptor = descriptor  # else its holder has just removed it
            finally:
                if self._descriptor != descriptor:
                    self._fs.close(descriptor)

    def _inode(self, path: str) -> int:
        """The inode at a path; 0 if there is none."""
        try:
            return self._fs.stat(path).st_ino
        except FileNotFoundError:
            return 0

    def _inodes(self, top: str) -> dict[str, int]:
        entries = self._walk(top)
        return {path[len(top) + 1 :]: one.st_ino for path, one in entries if not stat.S_ISDIR(one.st_mode)}

    def _folders(self, top: str) -> list[str]:
        """A folder and all below it, each behind its parent."""
        return [top, *(path for path, one in self._walk(top) if stat.S_ISDIR(one.st_mode))]

    def _walk(self, top: str) -> Iterator[tuple[str, os.stat_result]]:
        """All that is in a folder and below it. CUBE may be about to delete it."""
        folders = [top]
        for folder in folders:
            with contextlib.suppress(FileNotFoundError):
                for name in self._fs.listdir(folder):
                    self.pulse.beat()
                    path = f"{folder}/{name}"
                    with contextlib.suppress(FileNotFoundError):
                        found = self._fs.stat(path, follow_symlinks=False)
                        if stat.S_ISDIR(found.st_mode):
                            folders.append(path)
                        yield path, found

    def _link(self, names: Iterable[str], source: str, target: str, advance: Advance) -> None:
        for name in names:
            self._make_folders(_parent(f"{target}/{name}"))
            # There: an earlier run's. Gone: CUBE deletes just now. The next look tells what it is.
            with contextlib.suppress(FileExistsError, FileNotFoundError):
                self._fs.link(f"{source}/{name}", f"{target}/{name}")
            self._done(advance)

    def _done(self, advance: Advance) -> None:
        self.pulse.beat()
        advance(1)

    def _make_folders(self, folder: str) -> None:
        if not self._inode(folder):
            self._make_folders(_parent(folder))
            with contextlib.suppress(FileExistsError):
                self._fs.mkdir(folder, _FOLDER_MODE)

    def _sync(self, top: str, ceiling: str) -> None:
        for folder in self._folders(top)[1:]:
            sync_folder(self._fs, folder)
        self._sync_upwards(top, ceiling)

    def _sync_upwards(self, folder: str, ceiling: str) -> None:
        while folder.startswith(ceiling):
            sync_folder(self._fs, folder)
            folder = _parent(folder)


def _parent(path: str) -> str:
    return path.rpartition("/")[0]
