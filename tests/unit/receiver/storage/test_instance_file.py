"""The durable write: order of the system calls, every fault, and what is left behind."""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lapidicom.common.file_system import FileSystem
from lapidicom.receiver.errors import OutOfResources
from lapidicom.receiver.storage.folders import SeriesFolders
from lapidicom.receiver.storage.instance_file import InstanceStore, TemporaryFile
from lapidicom.receiver.storage.part10 import FileMeta
from lapidicom.receiver.storage.volume import Volume, VolumeUnusable

FOLDER = "SERVICES/PACS/HOSPITAL/1-A-/s-a-20200101/00001-x-0123456"
NAME = "0001-1.2.3.dcm"
CALLS = ("open", "close", "write", "writev", "fsync", "rename", "mkdir", "unlink", "link")


class RecordingFileSystem(FileSystem):
    """Notes the calls, and fails the ones that it is told to."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fail: dict[str, int | Callable[[], object]] = {}
        for name in CALLS:
            setattr(self, name, self._wrap(name))

    def _wrap(self, name: str) -> Callable[..., Any]:
        real = getattr(FileSystem, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(name)
            fault = self.fail.get(name)
            if callable(fault):
                fault()
            elif fault is not None:
                raise OSError(fault, os.strerror(fault))
            return real(*args, **kwargs)

        return call


class Room:
    def __init__(self, root: Path, fs: FileSystem, *, fsync: bool = True, min_free: int = 0) -> None:
        self.root = root
        self.volume = Volume(
            root, root / ".lapidicom", "r.life", min_free_space=min_free, fsync=fsync, file_system=fs
        )
        self.folders = SeriesFolders(self.volume, fs)
        self.store = InstanceStore(self.volume, self.folders, fs, fsync=fsync)

    def put(self, data: bytes, calling: str = "A") -> str:
        file = self.store.new_file()
        file.write([FileMeta("1.2", "1.2.840.10008.1.2", calling, "B").encode(b"1.2.3"), data])
        return file.place(self.folders.get(FOLDER), NAME)[1]

    def leftovers(self) -> list[str]:
        return [path.name for path in (self.root / ".lapidicom" / "incoming" / "r.life").iterdir()]


def write_and_place(room: Room, file: TemporaryFile) -> None:
    file.write([b"x"])
    file.place(room.folders.get(FOLDER), NAME)


@pytest.fixture
def fs() -> RecordingFileSystem:
    return RecordingFileSystem()


@pytest.fixture
def room(tmp_path: Path, fs: RecordingFileSystem) -> Iterator[Room]:
    previous = os.umask(0)
    room = Room(tmp_path, fs)
    yield room
    os.umask(previous)


def test_bytes_are_synced_before_the_name_exists(room: Room, fs: RecordingFileSystem) -> None:
    room.folders.get(FOLDER)
    fs.calls.clear()
    assert room.put(b"data") == "new"
    assert fs.calls == ["open", "writev", "fsync", "close", "rename"]
    assert (room.root / FOLDER / NAME).read_bytes().endswith(b"data")
    assert room.leftovers() == []


def test_every_folder_up_to_services_pacs_is_synced_when_a_series_is_met(
    room: Room, fs: RecordingFileSystem
) -> None:
    (room.root / FOLDER).mkdir(parents=True)  # whoever made it
    fs.calls.clear()
    room.folders.get(FOLDER)
    assert fs.calls.count("fsync") == 4  # study, patient, PACS, SERVICES/PACS
    fs.calls.clear()
    room.folders.get(FOLDER)
    assert fs.calls == []


def test_modes_do_not_depend_on_the_umask_of_the_caller(room: Room) -> None:
    room.put(b"data")
    assert (room.root / FOLDER / NAME).stat().st_mode & 0o777 == 0o664
    assert (room.root / FOLDER).stat().st_mode & 0o777 == 0o775
    assert (room.root / "SERVICES" / "PACS" / "HOSPITAL").stat().st_mode & 0o777 == 0o775


def test_the_same_data_set_is_kept_though_its_file_meta_differs(room: Room) -> None:
    room.put(b"data", calling="A")
    before = (room.root / FOLDER / NAME).stat().st_ino
    assert room.put(b"data", calling="LONGER") == "kept"
    assert (room.root / FOLDER / NAME).stat().st_ino == before
    assert room.leftovers() == []


@pytest.mark.parametrize("other", [b"dat", b"data2", b"xata", b""])
def test_another_data_set_replaces_the_file(room: Room, other: bytes) -> None:
    room.put(b"data")
    assert room.put(other) == "replaced"
    assert (room.root / FOLDER / NAME).read_bytes().endswith(other)


@pytest.mark.parametrize("call", ["writev", "fsync", "close", "rename"])
@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
def test_a_failed_call_is_out_of_resources_and_leaves_nothing(
    room: Room, fs: RecordingFileSystem, call: str, fault: int
) -> None:
    room.folders.get(FOLDER)
    file = room.store.new_file()
    fs.fail[call] = fault
    fs.calls.clear()
    with pytest.raises(OutOfResources) as caught:
        write_and_place(room, file)
    assert errno.errorcode[fault] in str(caught.value)
    assert fs.calls.count("fsync") <= 1, "a failed fsync must never be tried again"
    fs.fail.clear()
    assert not (room.root / FOLDER / NAME).exists()
    assert room.leftovers() == []


def test_a_series_that_cube_deleted_is_made_anew_once(room: Room) -> None:
    folder = room.folders.get(FOLDER)
    (room.root / FOLDER).rmdir()
    (room.root / FOLDER).parent.rmdir()
    assert room.put(b"data") == "new"
    assert (room.root / FOLDER / NAME).exists()
    assert room.folders.get(FOLDER) is not folder


def test_a_swapped_volume_is_refused_and_nothing_is_written(room: Room) -> None:
    sentinel = room.root / ".lapidicom" / "volume-id"
    sentinel.rename(sentinel.with_suffix(".away"))
    with pytest.raises(OutOfResources, match="not the one of the start"):
        room.put(b"data")
    assert not (room.root / FOLDER / NAME).exists()
    room.volume.watch()
    assert room.volume.fault is not None
    sentinel.with_suffix(".away").rename(sentinel)
    assert room.volume.watch()
    assert room.volume.fault is None
    assert room.put(b"data") == "new"


def test_the_same_volume_under_another_mount_needs_a_fresh_process(room: Room) -> None:
    sentinel = room.root / ".lapidicom" / "volume-id"
    identity = sentinel.read_text()
    sentinel.rename(sentinel.with_suffix(".away"))
    sentinel.write_text(identity)  # another inode, as after a new mount
    assert not room.volume.watch()


def test_a_listener_whose_temporary_files_were_removed_needs_a_fresh_process(room: Room) -> None:
    (room.root / ".lapidicom" / "incoming" / "r.life").rmdir()
    assert not room.volume.watch()
    with pytest.raises(OutOfResources):
        room.put(b"data")


def test_two_receivers_agree_on_the_identity_of_the_volume(tmp_path: Path) -> None:
    found = []

    def start(number: int) -> None:
        volume = Volume(
            tmp_path,
            tmp_path / ".lapidicom",
            f"r.{number}",
            min_free_space=0,
            fsync=True,
            file_system=FileSystem(),
        )
        found.append(volume.identity)

    threads = [threading.Thread(target=start, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_too_little_free_space_refuses_until_there_is_a_tenth_more(tmp_path: Path) -> None:
    class Small(FileSystem):
        free = 5000

        def fstatvfs(self, fd: int) -> os.statvfs_result:  # type: ignore[override]
            real = list(os.fstatvfs(fd))
            real[1], real[4] = 1, self.free  # f_frsize, f_bavail
            return os.statvfs_result(real)

    fs = Small()
    room = Room(tmp_path, fs, min_free=1000)
    for free, fault in ((5000, False), (999, True), (1050, True), (1100, False), (1000, False), (999, True)):
        fs.free = free
        room.volume.watch()
        assert (room.volume.fault is not None) is fault, free


@pytest.mark.parametrize(
    ("call", "error", "fault"),
    [
        ("link", errno.EPERM, r"link\(\) fails \(Operation not permitted\).*: use one that has them"),
        ("rename", errno.EXDEV, "files cannot be renamed from the spool into SERVICES/PACS"),
        ("fsync", errno.EINVAL, "fsync of a file fails .* fsync of a folder fails"),
    ],
)
def test_a_volume_that_lacks_something_is_refused_by_its_name_and_nothing_is_left(
    tmp_path: Path, call: str, error: int, fault: str
) -> None:
    fs = RecordingFileSystem()
    fs.fail[call] = error
    with pytest.raises(VolumeUnusable, match=f"CHRIS_FILES_ROOT={tmp_path}, spool .*: {fault}"):
        Room(tmp_path, fs)
    assert list((tmp_path / ".lapidicom" / "incoming").iterdir()) == []


def test_a_root_that_does_not_exist_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(VolumeUnusable, match="absent"):
        Room(tmp_path / "absent", FileSystem())


def test_a_short_write_is_completed(tmp_path: Path) -> None:
    class Short(FileSystem):
        def writev(self, fd: int, buffers: Any) -> int:  # type: ignore[override]
            return os.write(fd, bytes(buffers[0])[:3])

    room = Room(tmp_path, Short())
    file = room.store.new_file()
    file.write([b"abcdef", b"ghi"])
    file.place(room.folders.get(FOLDER), NAME)
    assert (tmp_path / FOLDER / NAME).read_bytes() == b"abcdefghi"
    assert file.size == 9
