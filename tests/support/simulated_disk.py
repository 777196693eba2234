"""A disk in memory that may lose power: the system calls of receiver and relay, and what survives a crash.

Rules of the model, as hostile as POSIX allows:
- A write is durable once fsync or fdatasync of its file has succeeded; before that any part of it may
  survive, and later writes may survive where earlier ones do not (holes are zeros).
- After a failed sync the writes of before are *doubtful*: no later sync makes them durable.
- A change of a folder (a name set, a name taken away) is durable once fsync of that folder has
  succeeded; before that each change survives or not, on its own.
- A process that is killed loses nothing that it wrote; its descriptors are gone.
- What another host has removed from a network file system is stale to those who have it open (ESTALE); an
  instance's file that another host has just made may be missing there for as long as folders are cached.
- The disk may flip a bit of what is durable (`Disk.flip`).
"""

import errno
import itertools
import os
import random
import stat
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from lapidicom.common.file_system import FileSystem

_CAPACITY = 1 << 30
_CALLS = sorted({name for name in vars(FileSystem) if not name.startswith("_")} - {"close"})


class PowerCut(BaseException):
    """The machine is off. No code of the product catches this."""


class Killed(BaseException):
    """The process got SIGKILL."""


class Node:
    """A file or a folder.

    Attributes:
        links: how many names it has.
        removed_by: the host that took its last name away.
    """

    _numbers = itertools.count(1)

    def __init__(self, now: float) -> None:
        self.number = next(self._numbers)
        self.links = 0
        self.removed_by: str | None = None
        self.mtime = now


class File(Node):
    """A file: what processes see, what is durable, and what lies between."""

    def __init__(self, now: float) -> None:
        super().__init__(now)
        self.content = bytearray()
        self.durable = bytearray()
        self.pending: list[tuple[int, bytes]] = []
        self.doubtful: list[tuple[int, bytes]] = []

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


class Folder(Node):
    """A folder: its names as seen, as durable, and the changes between."""

    def __init__(self, now: float) -> None:
        super().__init__(now)
        self.names: dict[str, File | Folder] = {}
        self.durable: dict[str, File | Folder] = {}
        self.changes: list[tuple[str, File | Folder | None]] = []
        self.made: dict[str, tuple[float, str]] = {}

    def set(self, name: str, node: "File | Folder | None", host: str = "", now: float = 0.0) -> None:
        """Set a name, or take it away."""
        self.made[name] = (now, host)
        old = self.names.pop(name, None)
        if node is not None:
            self.names[name] = node
            node.links += 1
        if old is not None:
            old.links -= 1
            old.removed_by = host
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
        is_network: whether hosts share it by a network file system.
        directory_cache: seconds for which a host may not see what another one has made on it.
    """

    def __init__(
        self, clock: Callable[[], float], *, is_network: bool = False, directory_cache: float = 0.0
    ) -> None:
        self.clock = clock
        self.is_network = is_network
        self.directory_cache = directory_cache if is_network else 0.0
        self.root = Folder(clock())
        self.root.links = 1

    def lose_power(self, chance: random.Random) -> None:
        """What is left when the machine is on again."""
        self.root.lose_power(chance)
        self._count_links(self.root, set())

    def _count_links(self, folder: Folder, seen: set[int]) -> None:
        for node in folder.names.values():
            if node.number not in seen:
                seen.add(node.number)
                node.links = 0
            node.links += 1
            if isinstance(node, Folder):
                self._count_links(node, seen)

    def remove_tree(self, path: str, host: str) -> None:
        """Remove a folder with all that is in it, for good."""
        head, _, name = path.rpartition("/")
        self._empty(self.folder(path), host)
        parent = self.folder(head)
        parent.set(name, None, host)
        parent.sync()

    def _empty(self, folder: Folder, host: str) -> None:
        for name, node in list(folder.names.items()):
            if isinstance(node, Folder):
                self._empty(node, host)
            folder.set(name, None, host)
        folder.sync()

    def flip(self, path: str, offset: int, bit: int) -> None:
        """Flip a bit of a file, where it is durable and where processes see it."""
        file = self.find(path)
        assert isinstance(file, File)
        for content in (file.content, file.durable):
            if offset < len(content):
                content[offset] ^= 1 << bit

    def find(self, path: str) -> "File | Folder":
        """The node of an absolute path.

        Raises:
            FileNotFoundError, NotADirectoryError: there is none.
        """
        return find(self.root, path)

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


def find(node: "File | Folder", path: str) -> "File | Folder":
    """The node of a path that begins at a node.

    Raises:
        FileNotFoundError, NotADirectoryError: there is none.
    """
    for part in _parts(path):
        if not isinstance(node, Folder):
            raise NotADirectoryError(errno.ENOTDIR, "not a folder")
        if part not in node.names:
            raise FileNotFoundError(errno.ENOENT, "no such file")
        node = node.names[part]
    return node


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


class SimulatedFileSystem(FileSystem):
    """The system calls of one process on a simulated disk.

    Args:
        disk: the volume.
        host: on which the process runs.
        before: asked before each call that may fail, with its name and its path: may raise, may let
            the rest of the world go on, may return a number of bytes to which a write is cut.
        after: asked after each such call.
    """

    def __init__(
        self,
        disk: Disk,
        host: str = "",
        before: Callable[[str, str], int | None] = lambda _name, _path: None,
        after: Callable[[str, str], None] = lambda _name, _path: None,
    ) -> None:
        self._disk = disk
        self._host = host
        self._before = before
        self._after = after
        self._open: dict[int, tuple[File | Folder, str]] = {}
        self._next = 3
        models: dict[str, Callable[..., Any]] = {
            "open": self._open_file,
            "read": self._read,
            "pread": self._pread,
            "write": self._write,
            "writev": self._writev,
            "pwrite": self._pwrite,
            "fsync": self._sync,
            "fdatasync": self._sync,
            "rename": self._rename,
            "link": self._link,
            "unlink": self._unlink,
            "mkdir": self._mkdir,
            "rmdir": self._rmdir,
            "access": self._access,
            "stat": self._stat,
            "fstat": self._fstat,
            "statvfs": self._statvfs,
            "fstatvfs": self._statvfs,
            "listdir": self._listdir,
            "utime": self._utime,
        }
        for name in _CALLS:
            setattr(self, name, self._watch(name, models.get(name, _unmodelled)))

    def _watch(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(target: Any, *args: Any, **kwargs: Any) -> Any:
            path = self._path(target, kwargs.get("dir_fd", kwargs.get("src_dir_fd")))
            try:
                cut = self._before(name, path)
            except OSError:
                node = self._open[target][0] if name in ("fsync", "fdatasync") else None
                if isinstance(node, File):
                    node.fail_sync()
                if name == "access":
                    return False
                raise
            if cut is not None and name in ("write", "writev", "pwrite"):
                data = b"".join(args[0]) if name == "writev" else args[0]
                args = ([data[:cut]] if name == "writev" else data[:cut], *args[1:])
            result = call(target, *args, **kwargs)
            self._after(name, path)
            return result

        return watched

    def _path(self, target: Any, dir_fd: int | None) -> str:
        """What a call is about, for the account of the history."""
        if isinstance(target, int):
            return self._open[target][1]
        path = os.fspath(target)
        return path if dir_fd is None else f"{self._open[dir_fd][1]}/{path}"

    def _node(self, fd: int) -> "File | Folder":
        node = self._open[fd][0]
        if self._disk.is_network and not node.links and node.removed_by != self._host:
            raise OSError(errno.ESTALE, "stale")
        return node

    def _look_into_cache(self, parent: Folder, name: str) -> None:
        when, host = parent.made.get(name, (0.0, ""))
        is_new = self._disk.clock() - when < self._disk.directory_cache
        if is_new and host != self._host and name.endswith(".dcm"):
            raise FileNotFoundError(errno.ENOENT, "no such file, says the cache")

    def _start(self, dir_fd: int | None) -> "File | Folder":
        return self._disk.root if dir_fd is None else self._node(dir_fd)

    def _find(self, path: Any, dir_fd: int | None = None) -> "File | Folder":
        return find(self._start(dir_fd), os.fspath(path))

    def _parent(self, path: Any, dir_fd: int | None = None) -> tuple[Folder, str]:
        head, _, name = os.fspath(path).rstrip("/").rpartition("/")
        parent = self._find(head, dir_fd)
        if not isinstance(parent, Folder):
            raise NotADirectoryError(errno.ENOTDIR, "not a folder")
        return parent, name

    def _named(self, path: Any, dir_fd: int | None = None) -> tuple[Folder, str, "File | Folder"]:
        parent, name = self._parent(path, dir_fd)
        if name not in parent.names:
            raise FileNotFoundError(errno.ENOENT, "no such file")
        return parent, name, parent.names[name]

    def _room_for(self, path: Any, dir_fd: int | None = None) -> tuple[Folder, str]:
        """Where a new name can be set: not in a folder that has none itself."""
        parent, name = self._parent(path, dir_fd)
        if not parent.links:
            raise FileNotFoundError(errno.ENOENT, "the folder was removed")
        return parent, name

    def _open_file(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        del mode
        parent, name = self._parent(path, dir_fd)
        node = parent if name in ("", ".") else parent.names.get(name)
        if not flags & os.O_CREAT:
            self._look_into_cache(parent, name)
        if node is None:
            if not flags & os.O_CREAT:
                raise FileNotFoundError(errno.ENOENT, "no such file")
            parent, name = self._room_for(path, dir_fd)
            node = File(self._disk.clock())
            parent.set(name, node, self._host, self._disk.clock())
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
        self._open[self._next] = (node, self._path(path, dir_fd))
        return self._next

    def close(self, fd: int) -> None:
        """Close a descriptor."""
        del self._open[fd]

    def _file(self, fd: int) -> File:
        node = self._node(fd)
        if not isinstance(node, File):
            raise IsADirectoryError(errno.EISDIR, "a folder")
        return node

    def _read(self, fd: int, length: int) -> bytes:
        return self._pread(fd, length, 0)  # nobody reads on

    def _pread(self, fd: int, length: int, offset: int) -> bytes:
        return bytes(self._file(fd).content[offset : offset + length])

    def _write(self, fd: int, data: bytes) -> int:
        file = self._file(fd)
        file.write(len(file.content), bytes(data), self._disk.clock())
        return len(data)

    def _writev(self, fd: int, chunks: Sequence[bytes]) -> int:
        return self._write(fd, b"".join(chunks))

    def _pwrite(self, fd: int, data: bytes, offset: int) -> int:
        self._file(fd).write(offset, bytes(data), self._disk.clock())
        return len(data)

    def _sync(self, fd: int) -> None:
        self._node(fd).sync()

    def _rename(
        self, source: Any, target: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None
    ) -> None:
        source_folder, source_name, node = self._named(source, src_dir_fd)
        target_folder, target_name = self._room_for(target, dst_dir_fd)
        if (target_folder, target_name) == (source_folder, source_name):
            return
        target_folder.set(target_name, node, self._host, self._disk.clock())
        source_folder.set(source_name, None, self._host, self._disk.clock())

    def _link(
        self, source: Any, target: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None
    ) -> None:
        _, _, node = self._named(source, src_dir_fd)
        folder, name = self._room_for(target, dst_dir_fd)
        if name in folder.names:
            raise FileExistsError(errno.EEXIST, "exists")
        folder.set(name, node, self._host, self._disk.clock())

    def _unlink(self, path: Any, *, dir_fd: int | None = None) -> None:
        folder, name, _ = self._named(path, dir_fd)
        folder.set(name, None, self._host, self._disk.clock())

    def _mkdir(self, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        del mode
        folder, name = self._room_for(path, dir_fd)
        if name in folder.names:
            raise FileExistsError(errno.EEXIST, "exists")
        folder.set(name, Folder(self._disk.clock()), self._host, self._disk.clock())

    def _rmdir(self, path: Any, *, dir_fd: int | None = None) -> None:
        folder, name, node = self._named(path, dir_fd)
        if not isinstance(node, Folder):
            raise NotADirectoryError(errno.ENOTDIR, "not a folder")
        if node.names:
            raise OSError(errno.ENOTEMPTY, "not empty")
        folder.set(name, None, self._host, self._disk.clock())

    def _access(self, path: Any, mode: int, *, dir_fd: int | None = None) -> bool:
        del mode
        try:
            self._look_into_cache(*self._parent(path, dir_fd))
            self._find(path, dir_fd)
        except OSError:
            return False
        return True

    def _status(self, node: "File | Folder") -> Any:
        is_file = isinstance(node, File)
        return SimpleNamespace(
            st_dev=1,
            st_ino=node.number,
            st_nlink=node.links,
            st_size=len(node.content) if isinstance(node, File) else 0,
            st_mtime=node.mtime,
            st_mtime_ns=int(node.mtime * 1e9),
            st_mode=(stat.S_IFREG if is_file else stat.S_IFDIR) | 0o660,
        )

    def _stat(self, path: Any, *, dir_fd: int | None = None) -> Any:
        return self._status(self._find(path, dir_fd))

    def _utime(self, path: Any, *, dir_fd: int | None = None) -> None:
        self._find(path, dir_fd).mtime = self._disk.clock()

    def _fstat(self, fd: int) -> Any:
        return self._status(self._node(fd))

    def _statvfs(self, target: Any) -> Any:
        if isinstance(target, int):
            self._node(target)
        else:
            self._find(target)
        return SimpleNamespace(f_bavail=_CAPACITY, f_frsize=1, f_files=0, f_favail=0)

    def _listdir(self, path: Any) -> list[str]:
        folder = self._node(path) if isinstance(path, int) else self._find(path)
        if not isinstance(folder, Folder):
            raise NotADirectoryError(errno.ENOTDIR, "not a folder")
        return list(folder.names)


def _unmodelled(*_: Any, **__: Any) -> Any:
    raise NotImplementedError("this call has no model")
