"""A disk in memory that may lose power: the system calls of receiver and relay, and what survives a crash.

Rules of the model, as hostile as POSIX allows:
- A write is durable once fsync or fdatasync of its file has succeeded; before that any part of it may
  survive, and later writes may survive where earlier ones do not (holes are zeros).
- After a failed sync the writes of before are *doubtful*: no later sync makes them durable.
- A change of a folder (a name set, a name taken away) is durable once fsync of that folder has
  succeeded; before that each change survives or not, on its own.
- A process that is killed loses nothing that it wrote; its descriptors are gone.
"""

import errno
import os
import random
import stat
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from lapidicom.common.file_system import FileSystem

_CAPACITY = 1 << 30
_CALLS = sorted({name for name in vars(FileSystem) if not name.startswith("_")} - {"close"})


class PowerCut(BaseException):
    """The machine is off. No code of the product catches this."""


class Killed(BaseException):
    """The process got SIGKILL."""


class File:
    """A file: what processes see, what is durable, and what lies between."""

    def __init__(self, now: float) -> None:
        self.content = bytearray()
        self.durable = bytearray()
        self.pending: list[tuple[int, bytes]] = []
        self.doubtful: list[tuple[int, bytes]] = []
        self.links = 0
        self.mtime = now

    def write(self, offset: int, data: bytes, now: float) -> None:
        """Write; visible at once."""
        _put(self.content, offset, data)
        self.pending.append((offset, data))
        self.mtime = now

    def sync(self) -> None:
        """A sync has succeeded."""
        for offset, data in self.pending:
            _put(self.durable, offset, data)
        self.pending.clear()

    def fail_sync(self) -> None:
        """A sync has failed: the kernel takes the pages for clean."""
        self.doubtful += self.pending
        self.pending.clear()

    def lose_power(self, chance: random.Random) -> None:
        """Keep what is durable, and some of the rest."""
        for offset, data in [*self.doubtful, *self.pending]:
            fate = chance.random()
            if fate < 0.4:
                _put(self.durable, offset, data)
            elif fate < 0.6:
                _put(self.durable, offset, data[: chance.randrange(len(data) + 1)])
            elif fate < 0.7:
                cut = chance.randrange(len(data) + 1)
                _put(self.durable, offset + cut, data[cut:])
        self.doubtful.clear()
        self.pending.clear()
        self.content = bytearray(self.durable)

    def is_durable(self) -> bool:
        """Whether a power cut would change nothing."""
        return self.durable == self.content and not self.pending and not self.doubtful


def _put(content: bytearray, offset: int, data: bytes) -> None:
    if len(content) < offset:
        content.extend(b"\0" * (offset - len(content)))
    content[offset : offset + len(data)] = data


class Folder:
    """A folder: its names as seen, as durable, and the changes between."""

    def __init__(self, now: float) -> None:
        self.names: dict[str, File | Folder] = {}
        self.durable: dict[str, File | Folder] = {}
        self.changes: list[tuple[str, File | Folder | None]] = []
        self.links = 1
        self.mtime = now

    def set(self, name: str, node: "File | Folder | None") -> None:
        """Set a name, or take it away."""
        old = self.names.pop(name, None)
        if isinstance(old, File):
            old.links -= 1
        if node is not None:
            self.names[name] = node
            if isinstance(node, File):
                node.links += 1
        self.changes.append((name, node))

    def sync(self) -> None:
        """A sync has succeeded."""
        self.durable = dict(self.names)
        self.changes.clear()

    def lose_power(self, chance: random.Random) -> None:
        """Keep the durable names, and some of the changes."""
        for name, node in self.changes:
            if chance.random() < 0.5:
                if node is None:
                    self.durable.pop(name, None)
                else:
                    self.durable[name] = node
        self.changes.clear()
        self.names = dict(self.durable)
        for node in self.names.values():
            node.lose_power(chance)


class Disk:
    """The volume.

    Args:
        clock: seconds, for the time stamps.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.root = Folder(clock())

    def lose_power(self, chance: random.Random) -> None:
        """What is left when the machine is on again."""
        self.root.lose_power(chance)
        self._count_links(self.root, {})

    def _count_links(self, folder: Folder, seen: dict[int, File]) -> None:
        for node in folder.names.values():
            if isinstance(node, Folder):
                self._count_links(node, seen)
            else:
                if id(node) not in seen:
                    seen[id(node)] = node
                    node.links = 0
                node.links += 1

    def find(self, path: str) -> "File | Folder":
        """The node of an absolute path.

        Raises:
            FileNotFoundError, NotADirectoryError: there is none.
        """
        node: File | Folder = self.root
        for part in _parts(path):
            if not isinstance(node, Folder):
                raise NotADirectoryError(errno.ENOTDIR, "not a folder")
            if part not in node.names:
                raise FileNotFoundError(errno.ENOENT, "no such file")
            node = node.names[part]
        return node

    def folder(self, path: str) -> Folder:
        """The folder of an absolute path."""
        node = self.find(path)
        if not isinstance(node, Folder):
            raise NotADirectoryError(errno.ENOTDIR, "not a folder")
        return node

    def is_durable(self, path: str) -> bool:
        """Whether a power cut would leave this file, whole, under this name."""
        node: File | Folder = self.root
        for part in _parts(path):
            if not isinstance(node, Folder) or node.durable.get(part) is not node.names.get(part):
                return False
            if any(name == part for name, _ in node.changes) or part not in node.names:
                return False
            node = node.names[part]
        return isinstance(node, File) and node.is_durable()

    def make_folders(self, path: str) -> None:
        """Make a durable folder and its parents, before the history begins."""
        node = self.root
        for part in _parts(path):
            if part not in node.names:
                node.set(part, Folder(self.clock()))
                node.sync()
            child = node.names[part]
            assert isinstance(child, Folder)
            node = child


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


class SimulatedFileSystem(FileSystem):
    """The system calls of one process on a simulated disk.

    Args:
        disk: the volume.
        before: asked before each call that may fail, with its name and its path: may raise, may let
            the rest of the world go on, may return a number of bytes to which a write is cut.
        after: asked after each such call.
    """

    def __init__(
        self,
        disk: Disk,
        before: Callable[[str, str], int | None] = lambda _name, _path: None,
        after: Callable[[str, str], None] = lambda _name, _path: None,
    ) -> None:
        self._disk = disk
        self._before = before
        self._after = after
        self._open: dict[int, tuple[File | Folder, str]] = {}
        self._next = 3
        models: dict[str, Callable[..., Any]] = {
            "open": self._open_file,
            "pread": self._pread,
            "write": self._write,
            "pwrite": self._pwrite,
            "fsync": self._sync,
            "fdatasync": self._sync,
            "rename": self._rename,
            "unlink": self._unlink,
            "mkdir": self._mkdir,
            "rmdir": self._rmdir,
            "stat": self._stat,
            "fstat": self._fstat,
            "statvfs": self._statvfs,
            "listdir": self._listdir,
        }
        for name in _CALLS:
            setattr(self, name, self._watch(name, models.get(name, _unmodelled)))

    def _watch(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(target: Any, *args: Any, **kwargs: Any) -> Any:
            path = self._open[target][1] if isinstance(target, int) else os.fspath(target)
            try:
                cut = self._before(name, path)
            except OSError:
                node = self._open[target][0] if name in ("fsync", "fdatasync") else None
                if isinstance(node, File):
                    node.fail_sync()
                raise
            if cut is not None and name in ("write", "pwrite"):
                args = (args[0][:cut], *args[1:])
            result = call(target, *args, **kwargs)
            self._after(name, path)
            return result

        return watched

    def _open_file(self, path: str, flags: int, mode: int = 0o777) -> int:
        del mode
        head, _, name = path.rstrip("/").rpartition("/")
        parent = self._disk.folder(head)
        node = parent.names.get(name) if name else self._disk.root
        if node is None:
            if not flags & os.O_CREAT:
                raise FileNotFoundError(errno.ENOENT, "no such file")
            node = File(self._disk.clock())
            parent.set(name, node)
        elif flags & os.O_EXCL:
            raise FileExistsError(errno.EEXIST, "exists")
        if flags & os.O_DIRECTORY and not isinstance(node, Folder):
            raise NotADirectoryError(errno.ENOTDIR, "not a folder")
        if flags & os.O_TRUNC and isinstance(node, File):
            # Modelled as a new file's content: a truncation may survive without what was written after it.
            node.content = bytearray()
            node.durable = bytearray()
            node.pending.clear()
        self._next += 1
        self._open[self._next] = (node, path)
        return self._next

    def close(self, fd: int) -> None:
        """Close a descriptor."""
        del self._open[fd]

    def _file(self, fd: int) -> File:
        node = self._open[fd][0]
        if not isinstance(node, File):
            raise IsADirectoryError(errno.EISDIR, "a folder")
        return node

    def _pread(self, fd: int, length: int, offset: int) -> bytes:
        return bytes(self._file(fd).content[offset : offset + length])

    def _write(self, fd: int, data: bytes) -> int:
        file = self._file(fd)
        file.write(len(file.content), bytes(data), self._disk.clock())
        return len(data)

    def _pwrite(self, fd: int, data: bytes, offset: int) -> int:
        self._file(fd).write(offset, bytes(data), self._disk.clock())
        return len(data)

    def _sync(self, fd: int) -> None:
        self._open[fd][0].sync()

    def _rename(self, source: str, target: str) -> None:
        source_head, _, source_name = source.rpartition("/")
        target_head, _, target_name = target.rpartition("/")
        source_folder, target_folder = self._disk.folder(source_head), self._disk.folder(target_head)
        node = source_folder.names.get(source_name)
        if node is None:
            raise FileNotFoundError(errno.ENOENT, "no such file")
        target_folder.set(target_name, node)
        source_folder.set(source_name, None)

    def _unlink(self, path: str) -> None:
        head, _, name = path.rpartition("/")
        folder = self._disk.folder(head)
        if name not in folder.names:
            raise FileNotFoundError(errno.ENOENT, "no such file")
        folder.set(name, None)

    def _mkdir(self, path: str, mode: int = 0o777) -> None:
        del mode
        head, _, name = path.rstrip("/").rpartition("/")
        folder = self._disk.folder(head)
        if name in folder.names:
            raise FileExistsError(errno.EEXIST, "exists")
        folder.set(name, Folder(self._disk.clock()))

    def _rmdir(self, path: str) -> None:
        if self._disk.folder(path).names:
            raise OSError(errno.ENOTEMPTY, "not empty")
        head, _, name = path.rstrip("/").rpartition("/")
        self._disk.folder(head).set(name, None)

    def _status(self, node: "File | Folder") -> Any:
        is_file = isinstance(node, File)
        return SimpleNamespace(
            st_nlink=node.links,
            st_size=len(node.content) if isinstance(node, File) else 0,
            st_mtime=node.mtime,
            st_mode=(stat.S_IFREG if is_file else stat.S_IFDIR) | 0o660,
        )

    def _stat(self, path: str) -> Any:
        return self._status(self._disk.find(path))

    def _fstat(self, fd: int) -> Any:
        return self._status(self._open[fd][0])

    def _statvfs(self, path: str) -> Any:
        self._disk.find(os.fspath(path))
        return SimpleNamespace(f_bavail=_CAPACITY, f_frsize=1)

    def _listdir(self, path: str) -> list[str]:
        return list(self._disk.folder(path).names)


def _unmodelled(*_: Any, **__: Any) -> Any:
    raise NotImplementedError("this call has no model")
