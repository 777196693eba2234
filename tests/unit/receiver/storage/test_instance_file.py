"""The durable write: order of the system calls, every fault, and what is left behind."""

import errno
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lapidicom.common.file_system import FileSystem
from lapidicom.common.instance.part10 import read_file_meta
from lapidicom.receiver.errors import OutOfResources
from lapidicom.receiver.storage.file_meta import FileMeta
from lapidicom.receiver.storage.fixed_folders import FixedFolders, SeriesIdentity
from lapidicom.receiver.storage.folders import SeriesFolders
from lapidicom.receiver.storage.instance_file import InstanceStore, TemporaryFile
from lapidicom.receiver.storage.open_markers import OpenMarkers
from lapidicom.receiver.storage.spool_folders import SpoolFolders
from lapidicom.receiver.storage.volume import Volume, VolumeUnusable

FOLDER = "SERVICES/PACS/HOSPITAL/1-A-/s-a-20200101/00001-x-0123456"
IDENTITY = SeriesIdentity("HOSPITAL", "1", "1.2", "1.2.3")
NAME = "0001-1.2.3.dcm"
CALLS = ("open", "close", "write", "writev", "fsync", "rename", "mkdir", "unlink", "link")


class RecordingFileSystem(FileSystem):
    """Notes the calls, and fails those that the test names."""

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
    def __init__(
        self,
        root: Path,
        fs: FileSystem,
        *,
        fsync: bool = True,
        min_free: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.root = root
        self.volume = Volume(
            root, root / ".lapidicom", "r.life", min_free_space=min_free, fsync=fsync, file_system=fs
        )
        spool = SpoolFolders(fs, self.volume.spool, fsync=fsync)
        fixed = FixedFolders(fs, spool, self.volume.incoming)
        self.folders = SeriesFolders(self.volume, fixed, fs)
        markers = OpenMarkers(fs, spool)
        self.store = InstanceStore(self.volume, self.folders, markers, fs, fsync=fsync, clock=clock)

    def put(self, data: bytes, calling: str = "A", syntax: str = "1.2.840.10008.1.2") -> str:
        return self.place(data, calling, syntax)[1]

    def place(self, data: bytes, calling: str = "A", syntax: str = "1.2.840.10008.1.2") -> tuple[int, str]:
        """Store an instance: the size that its record holds, and what became of it."""
        file = self.store.new_file()
        file.write([FileMeta("1.2", syntax, calling, "B").encode(b"1.2.3"), data])
        _, placed = file.place(self.folders.get(IDENTITY, FOLDER), NAME)
        file.close()
        return file.size, placed

    def leftovers(self) -> list[str]:
        return [path.name for path in (self.root / ".lapidicom" / "incoming" / "r.life").iterdir()]


def write_and_place(room: Room, file: TemporaryFile) -> None:
    file.write([b"x"])
    file.place(room.folders.get(IDENTITY, FOLDER), NAME)


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
    room.folders.get(IDENTITY, FOLDER)
    fs.calls.clear()
    assert room.put(b"data") == "new"
    assert fs.calls == ["open", "writev", "fsync", "rename", "close"]
    assert (room.root / FOLDER / NAME).read_bytes().endswith(b"data")
    assert room.leftovers() == []


def test_every_folder_up_to_services_pacs_is_synced_when_a_series_is_met(
    room: Room, fs: RecordingFileSystem
) -> None:
    (room.root / FOLDER).mkdir(parents=True)  # whoever made it
    fs.calls.clear()
    room.folders.get(IDENTITY, FOLDER)
    # The entry that fixes the folder; study, patient, PACS, SERVICES/PACS; series/HOSPITAL, series, spool.
    assert fs.calls.count("fsync") == 1 + 4 + 3
    fs.calls.clear()
    room.folders.get(IDENTITY, FOLDER)
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


def test_the_record_of_a_kept_instance_holds_the_size_of_the_file_that_is_there(room: Room) -> None:
    room.put(b"data", calling="A")
    size, placed = room.place(b"data", calling="A_LONGER_TITLE")
    assert (size, placed) == ((room.root / FOLDER / NAME).stat().st_size, "kept")


def test_the_same_bytes_in_another_transfer_syntax_replace_the_file(room: Room) -> None:
    """A sender that corrects a wrong transfer syntax must not get success for the wrong one."""
    room.put(b"data", syntax="1.2.840.10008.1.2")
    assert room.put(b"data", syntax="1.2.840.10008.1.2.1") == "replaced"
    assert (
        read_file_meta((room.root / FOLDER / NAME).read_bytes()).transfer_syntax_uid == "1.2.840.10008.1.2.1"
    )


@pytest.mark.parametrize("other", [b"dat", b"data2", b"xata", b""])
def test_another_data_set_replaces_the_file(room: Room, other: bytes) -> None:
    room.put(b"data")
    assert room.put(other) == "replaced"
    assert (room.root / FOLDER / NAME).read_bytes().endswith(other)


def test_without_syncs_a_file_is_closed_before_its_name_exists(
    tmp_path: Path, fs: RecordingFileSystem
) -> None:
    """A network file system that could not write it says so then."""
    room = Room(tmp_path, fs, fsync=False)
    room.folders.get(IDENTITY, FOLDER)
    fs.calls.clear()
    assert room.put(b"data") == "new"
    assert fs.calls == ["open", "writev", "close", "rename"]
    fs.fail["close"] = errno.EDQUOT
    with pytest.raises(OutOfResources, match="EDQUOT"):
        room.put(b"other")
    fs.fail.clear()
    assert (room.root / FOLDER / NAME).read_bytes().endswith(b"data")
    assert room.leftovers() == []


def test_a_file_is_fresh_for_a_second(tmp_path: Path) -> None:
    now = 100.0
    room = Room(tmp_path, FileSystem(), clock=lambda: now)
    file = room.store.new_file()
    now = 100.9
    assert file.is_fresh
    now = 101.1
    assert not file.is_fresh
    file.discard()


@pytest.mark.parametrize("call", ["writev", "fsync", "rename"])
@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
def test_a_failed_call_is_out_of_resources_and_leaves_nothing(
    room: Room, fs: RecordingFileSystem, call: str, fault: int
) -> None:
    room.folders.get(IDENTITY, FOLDER)
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


@pytest.mark.parametrize("depth", range(1, len(FOLDER.split("/")) + 1))
def test_a_folder_that_was_removed_is_made_anew_whatever_its_level(
    room: Room, fs: RecordingFileSystem, depth: int
) -> None:
    folder = room.folders.get(IDENTITY, FOLDER)
    shutil.rmtree(room.root / "/".join(FOLDER.split("/")[:depth]))
    fs.calls.clear()
    assert room.put(b"data") == "new"
    assert (room.root / FOLDER / NAME).exists()
    assert room.folders.get(IDENTITY, FOLDER) is not folder
    above = 3 if depth <= 2 else 0  # SERVICES/PACS, SERVICES and the root, if SERVICES/PACS is a new one
    assert fs.calls.count("fsync") == 1 + above + 4 + 1, "the file, and each folder that may be new"


def test_a_services_folder_that_another_receiver_made_anew_is_synced_up_to_the_root(
    room: Room, fs: RecordingFileSystem
) -> None:
    """It may not have synced it yet. A new folder often gets the inode of the one that was removed."""
    room.put(b"data")
    shutil.rmtree(room.root / "SERVICES")
    (room.root / "SERVICES" / "PACS").mkdir(parents=True)
    fs.calls.clear()
    assert room.put(b"data") == "new"
    assert fs.calls.count("fsync") == 1 + 3 + 4 + 1


def test_a_folder_that_only_the_cache_of_this_client_has_is_made_all_the_same(
    room: Room, fs: RecordingFileSystem
) -> None:
    """NFS: the name of a folder that another client removed is there until the next call finds it stale."""
    lies = [FileExistsError(errno.EEXIST, "still in the cache")]

    def mkdir(path: str, mode: int, *, dir_fd: int) -> None:
        if path.count("/") == 3 and lies:
            raise lies.pop()
        os.mkdir(path, mode, dir_fd=dir_fd)

    fs.mkdir = mkdir  # type: ignore[method-assign]
    assert room.put(b"data") == "new"
    assert lies == []


@pytest.mark.parametrize("error", [errno.ESTALE, errno.ENOENT])
def test_a_series_folder_that_another_client_deleted_is_made_anew_for_all_associations(
    room: Room, fs: RecordingFileSystem, error: int
) -> None:
    room.put(b"data")
    stale = room.folders.get(IDENTITY, FOLDER)
    shutil.rmtree(room.root / FOLDER)

    def rename(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        if dst_dir_fd == stale.descriptor:
            raise OSError(error, os.strerror(error))
        os.rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    fs.rename = rename  # type: ignore[method-assign]
    assert room.put(b"data") == "new"
    assert room.put(b"other") == "replaced"
    assert room.leftovers() == []


def test_a_folder_that_goes_twice_is_made_anew_for_an_association_that_held_the_first_one(room: Room) -> None:
    first = room.folders.get(IDENTITY, FOLDER)
    shutil.rmtree(room.root / FOLDER)
    room.folders.renewed(first)  # by another association
    shutil.rmtree(room.root / FOLDER)
    file = room.store.new_file()
    file.write([b"x"])
    assert file.place(first, NAME)[1] == "new"
    assert (room.root / FOLDER / NAME).read_bytes() == b"x"


def test_a_folder_whose_sync_failed_is_opened_anew_for_the_next_instance(
    room: Room, fs: RecordingFileSystem
) -> None:
    folder = room.folders.get(IDENTITY, FOLDER)
    fs.fail["fsync"] = errno.ESTALE
    with pytest.raises(OutOfResources, match="ESTALE"):
        room.store.sync_folder(folder)
    fs.fail.clear()
    assert room.folders.get(IDENTITY, FOLDER) is not folder


def test_a_listener_whose_descriptors_are_stale_needs_a_fresh_process(tmp_path: Path) -> None:
    class Stale(FileSystem):
        is_stale = False

        def fstatvfs(self, fd: int) -> os.statvfs_result:  # type: ignore[override]
            if self.is_stale:
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
            return os.fstatvfs(fd)

    fs = Stale()
    room = Room(tmp_path, fs)
    assert room.volume.watch()
    fs.is_stale = True
    assert not room.volume.watch()


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
    file.place(room.folders.get(IDENTITY, FOLDER), NAME)
    assert (tmp_path / FOLDER / NAME).read_bytes() == b"abcdefghi"
    assert file.size == 9


def test_an_instance_under_way_is_stored_though_its_listener_begins_a_new_life(room: Room) -> None:
    """Somebody finishes the former one, and removes the temporary files of the dead."""
    file = room.store.new_file()
    file.write([b"x"])
    room.volume.begin_life("r.next")
    shutil.rmtree(room.root / ".lapidicom/incoming/r.life", ignore_errors=True)
    file.place(room.folders.get(IDENTITY, FOLDER), NAME)
    file.close()
    assert (room.root / FOLDER / NAME).read_bytes() == b"x"
    assert room.volume.watch()
    room.volume.close()
    assert list((room.root / ".lapidicom/incoming").iterdir()) == []


def test_a_folder_of_temporary_files_that_was_removed_needs_a_fresh_process(room: Room) -> None:
    shutil.rmtree(room.root / ".lapidicom/incoming/r.life")
    room.volume.begin_life("r.next")
    assert not room.volume.watch()
