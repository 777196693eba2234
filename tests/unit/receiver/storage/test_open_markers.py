"""Open markers as a listener makes and removes them."""

import errno
import os
import threading
from pathlib import Path

import pytest

from lapidicom.common.file_system import FileSystem
from lapidicom.common.open_series import healing_mark, is_open, marker_name
from lapidicom.receiver.errors import OutOfResources, SeriesBeingHealed
from lapidicom.receiver.storage.open_markers import OpenMarkers
from lapidicom.receiver.storage.spool_folders import SpoolFolders

UID = "1.2.3"
NAME = marker_name("0" * 32, "a-1")


class Recorder(FileSystem):
    """Notes what is synced; unlink fails if it shall."""

    def __init__(self) -> None:
        self.synced: list[str] = []
        self.fails = False
        self.looks_fail = False

    def stat(self, path: str | os.PathLike[str], *, dir_fd: int | None = None) -> os.stat_result:  # type: ignore[override]
        if self.looks_fail:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return os.stat(path, dir_fd=dir_fd)

    def fsync(self, fd: int) -> None:  # type: ignore[override]
        self.synced.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
        os.fsync(fd)

    def unlink(self, path: str, *, dir_fd: int) -> None:  # type: ignore[override]
        if self.fails:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        os.unlink(path, dir_fd=dir_fd)


class Markers(OpenMarkers):
    """Those of a listener on a spool."""

    def __init__(self, spool: Path) -> None:
        self.fs = Recorder()
        super().__init__(self.fs, SpoolFolders(self.fs, os.open(spool, os.O_RDONLY), fsync=True))


@pytest.fixture
def markers(tmp_path: Path) -> Markers:
    return Markers(tmp_path)


def test_a_marker_is_made_and_then_synced_with_the_folders_that_may_be_new(
    markers: Markers, tmp_path: Path
) -> None:
    marker = markers.make("PACS", UID, NAME)
    assert (marker.path, marker.name) == (f"open/PACS/{UID}/{NAME}", NAME)
    assert (tmp_path / marker.path).stat().st_size == 0
    assert markers.fs.synced == []
    marker.sync()
    folder = tmp_path / "open/PACS" / UID
    assert markers.fs.synced == [str(one) for one in (folder, *list(folder.parents)[:3])]
    markers.fs.synced.clear()
    markers.make("PACS", UID, f"{NAME}2").sync()
    assert markers.fs.synced == [str(folder)], "no more for another association"


def test_folders_of_which_nobody_knows_are_synced_whoever_made_them(markers: Markers, tmp_path: Path) -> None:
    Markers(tmp_path).make("PACS", UID, "other")
    markers.make("PACS", UID, NAME).sync()
    assert len(markers.fs.synced) == 4


def test_a_removed_marker_leaves_the_folder_to_a_relay(markers: Markers, tmp_path: Path) -> None:
    marker = markers.make("PACS", UID, NAME)
    markers.remove((marker.path, "open/PACS/9.9/none"))
    assert not is_open(tmp_path, "PACS", UID)
    assert (tmp_path / "open/PACS" / UID).is_dir()


def test_a_folder_that_a_relay_removes_at_this_moment_is_made_again(markers: Markers, tmp_path: Path) -> None:
    marker = markers.make("PACS", UID, NAME)
    markers.remove((marker.path,))
    (tmp_path / "open/PACS" / UID).rmdir()
    marker = markers.make("PACS", UID, NAME)
    marker.sync()
    assert is_open(tmp_path, "PACS", UID)


def test_a_marker_that_was_made_when_the_life_began_stays_whatever_happens_then(
    markers: Markers, tmp_path: Path
) -> None:
    markers.make("PACS", UID, NAME)
    markers.fs.looks_fail = True
    with pytest.raises(OSError, match="Input/output error"):
        markers.make("PACS", UID, NAME)
    assert is_open(tmp_path, "PACS", UID), "instances that were answered before rely on it"
    with pytest.raises(OSError, match="Input/output error"):
        markers.make("PACS", "4.5", NAME)
    assert not is_open(tmp_path, "PACS", "4.5"), "nothing relies on a new one"
    markers.fs.looks_fail = False
    mark = tmp_path / healing_mark("PACS", UID)
    mark.parent.mkdir(parents=True)
    mark.touch()
    with pytest.raises(SeriesBeingHealed):
        markers.make("PACS", UID, NAME)
    assert is_open(tmp_path, "PACS", UID)


def test_a_marker_that_another_thread_needs_meanwhile_stays(
    markers: Markers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that begins a life finds the marker that an association has just made."""
    other = threading.Thread(target=lambda: markers.make("PACS", UID, NAME))

    def fail_once(*_: object, **__: object) -> None:
        monkeypatch.undo()
        other.start()
        other.join(0.2)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(markers.fs, "stat", fail_once)
    with pytest.raises(OSError, match="Input/output error"):
        markers.make("PACS", UID, NAME)
    other.join(10)
    assert is_open(tmp_path, "PACS", UID)


def test_a_marker_that_could_not_be_removed_and_is_needed_again_stays(
    markers: Markers, tmp_path: Path
) -> None:
    marker = markers.make("PACS", UID, NAME)
    markers.fs.fails = True
    markers.remove((marker.path,))
    markers.make("PACS", UID, NAME)
    markers.fs.fails = False
    markers.remove()
    assert is_open(tmp_path, "PACS", UID)


def test_of_a_series_that_is_being_healed_no_marker_stays(markers: Markers, tmp_path: Path) -> None:
    mark = tmp_path / healing_mark("PACS", UID)
    mark.parent.mkdir(parents=True)
    mark.touch()
    with pytest.raises(SeriesBeingHealed) as caught:
        markers.make("PACS", UID, NAME)
    assert not is_open(tmp_path, "PACS", UID)
    assert caught.value.status == 0xA700
    assert not isinstance(caught.value, OutOfResources), "it does not count against the receiver"
    markers.make("PACS", "1.2.4", NAME)


def test_where_nobody_knows_whether_it_is_healed_no_marker_stays(markers: Markers, tmp_path: Path) -> None:
    (tmp_path / "healing").touch()
    with pytest.raises(NotADirectoryError):
        markers.make("PACS", UID, NAME)
    assert not is_open(tmp_path, "PACS", UID)


def test_what_cannot_be_removed_is_removed_later(markers: Markers, tmp_path: Path) -> None:
    marker = markers.make("PACS", UID, NAME)
    markers.fs.fails = True
    markers.remove((marker.path,))
    markers.fs.fails = False
    assert is_open(tmp_path, "PACS", UID)
    markers.remove()
    assert not is_open(tmp_path, "PACS", UID)


def test_the_markers_of_an_association_are_found_whatever_their_series(markers: Markers) -> None:
    made = {markers.make("PACS", f"1.{number}", NAME).path for number in range(5)}
    markers.make("PACS", "1.9", f"{NAME}2")
    markers.make("OTHER", "1.1", NAME)
    assert set(markers.left_by("PACS", NAME)) == made
    assert markers.left_by("NOWHERE", NAME) == []
