"""The folder of a series is fixed by its first instance ever; another identity never gets the same."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from lapidicom.common.file_system import FileSystem
from lapidicom.common.instance.path import MAX_SERIES_FOLDER, set_apart
from lapidicom.receiver.storage.fixed_folders import FixedFolders, SeriesIdentity
from lapidicom.receiver.storage.spool_folders import SpoolFolders

ONE = SeriesIdentity("PACS", "patient 1", "1.2", "1.2.3")
WANTED = "SERVICES/PACS/PACS/1-A-/s-a-20200101/00001-x-0123456"
OTHER = "SERVICES/PACS/PACS/1-A-/s-a-20200101/00001-y-0123456"


class Recorder(FileSystem):
    """Notes what is synced, and does something else before a link."""

    def __init__(self) -> None:
        self.synced: list[str] = []
        self.before_link: Any = lambda: None

    def fsync(self, fd: int) -> None:  # type: ignore[override]
        self.synced.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
        os.fsync(fd)

    def link(self, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        self.before_link()
        os.link(*args, **kwargs)


class Listener:
    """The fixed folders as one listener of a volume finds them."""

    def __init__(self, spool: Path, name: str = "a") -> None:
        self.spool = spool
        (spool / name).mkdir()
        self.fs = Recorder()
        descriptors = [os.open(folder, os.O_RDONLY) for folder in (spool, spool / name)]
        folders = SpoolFolders(self.fs, descriptors[0], fsync=True)
        self.fixed = FixedFolders(self.fs, folders, descriptors[1])
        self.incoming = spool / name

    def find(self, identity: SeriesIdentity = ONE, wanted: str = WANTED) -> str:
        return self.fixed.find(identity, wanted).path


@pytest.fixture
def listener(tmp_path: Path) -> Listener:
    return Listener(tmp_path)


def test_the_first_folder_that_is_wanted_stays_for_every_listener(listener: Listener, tmp_path: Path) -> None:
    other = Listener(tmp_path, "b")
    assert listener.find() == WANTED
    assert other.find(wanted=OTHER) == listener.find(wanted=OTHER) == WANTED
    assert [file.name for file in (tmp_path / "series/PACS").iterdir()] == ["1.2.3.1"]
    assert list(listener.incoming.iterdir()) == []


def test_of_two_listeners_that_fix_a_folder_at_once_one_wins(listener: Listener, tmp_path: Path) -> None:
    other = Listener(tmp_path, "b")
    listener.fs.before_link = lambda: other.find(wanted=OTHER)
    assert listener.find() == OTHER


@pytest.mark.parametrize("field", ["PatientID", "StudyInstanceUID"])
def test_another_identity_has_another_folder_even_where_its_values_make_the_same(
    listener: Listener, field: str
) -> None:
    corrected = ONE._replace(**{field: "9.9"})
    assert listener.find() == WANTED
    apart = listener.find(corrected)
    assert apart == set_apart(WANTED, corrected.digest) != WANTED
    assert listener.find(corrected, OTHER) == apart
    assert listener.find(ONE._replace(PatientID="third"), OTHER) == OTHER
    assert listener.find() == WANTED


@pytest.mark.parametrize(
    "identity", [ONE._replace(pacs_name="OTHER"), ONE._replace(SeriesInstanceUID="1.2.4")]
)
def test_another_series_has_its_own(listener: Listener, identity: SeriesIdentity) -> None:
    assert listener.find() == WANTED
    assert listener.find(identity, OTHER) == OTHER
    assert listener.find(wanted=OTHER) == WANTED


def test_a_folder_set_apart_is_not_too_long() -> None:
    longest = "/".join(["SERVICES", "PACS", "A" * 16, "p" * 180, "s" * 100, "e" * 86])
    assert len(longest) == MAX_SERIES_FOLDER
    apart = set_apart(longest, ONE.digest)
    assert (len(apart), apart[:300], apart[-18], apart[-8:]) == (
        MAX_SERIES_FOLDER,
        longest[:300],
        "~",
        "e" * 8,
    )


def test_an_entry_is_durable_before_and_its_name_behind_it(listener: Listener) -> None:
    listener.fs.before_link = lambda: listener.fs.synced.append("link")
    listener.find()
    listener.fixed.sync(ONE)
    spool = str(listener.spool)
    assert listener.fs.synced == [
        f"{spool}/a/1.series",
        "link",
        f"{spool}/series/PACS",
        f"{spool}/series",
        spool,
    ]
    listener.fs.synced.clear()
    listener.find(ONE._replace(SeriesInstanceUID="1.2.9"))
    listener.fixed.sync(ONE)
    assert listener.fs.synced == [f"{spool}/a/2.series", "link", f"{spool}/series/PACS"]


def test_each_use_is_noted_and_an_entry_that_is_gone_is_made_anew(listener: Listener, tmp_path: Path) -> None:
    fixed = listener.fixed.find(ONE, WANTED)
    entry = tmp_path / fixed.entry
    for use in (lambda: listener.fixed.use(fixed.entry), lambda: listener.find()):
        os.utime(entry, (0, 0))
        assert use()
        assert entry.stat().st_mtime > 0
    entry.unlink()
    assert not listener.fixed.use(fixed.entry)
    assert listener.find(wanted=OTHER) == OTHER


def test_a_damaged_entry_is_nobodys(listener: Listener, tmp_path: Path) -> None:
    entry = tmp_path / listener.fixed.find(ONE, WANTED).entry
    entry.write_bytes(b"\xff\xff")
    assert listener.find(wanted=OTHER) == OTHER
    assert listener.find() == OTHER


def test_a_short_write_fixes_nothing(listener: Listener, tmp_path: Path) -> None:
    listener.fs.write = lambda fd, data: os.write(fd, data[:5])  # type: ignore[method-assign]
    with pytest.raises(OSError, match="short") as caught:
        listener.find()
    assert caught.value.errno == errno.ENOSPC
    assert list((tmp_path / "series/PACS").iterdir()) == []
