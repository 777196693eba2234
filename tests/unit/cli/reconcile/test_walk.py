"""The walk over the volume has one order, and goes on behind any folder of it."""

import os
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lapidicom.cli.errors import OperatorError
from lapidicom.cli.reconcile.resume import State, read_state, write_state
from lapidicom.cli.reconcile.volume import _files, series_folders
from lapidicom.common.progress import DEFAULT_SPACE

FOLDERS = [
    "SERVICES/PACS/A/p/s-1/c",
    "SERVICES/PACS/A/p/s/c",
    "SERVICES/PACS/A/p-2/s/c",
    "SERVICES/PACS/A-B/p/s/c",
    "SERVICES/PACS/B/p/s/a",
    "SERVICES/PACS/B/p/s/b",
]
ORDER = sorted(FOLDERS, key=lambda path: path.split("/"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in FOLDERS:
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "0001-1.2.dcm").write_bytes(b"1234")
    return tmp_path


def walked(root: Path, **options: object) -> list[str]:
    return [folder.path for folder in series_folders(root, **options) if folder is not None]  # type: ignore[arg-type]


def test_folders_come_in_the_order_of_their_components(root: Path) -> None:
    assert walked(root) == ORDER


@pytest.mark.parametrize("number", range(len(ORDER)))
def test_it_goes_on_behind_each_folder_whether_that_still_exists_or_not(root: Path, number: int) -> None:
    after = ORDER[number]
    assert walked(root, after=after) == ORDER[number + 1 :]
    (root / after / "0001-1.2.dcm").unlink()
    (root / after).rmdir()
    assert walked(root, after=after) == ORDER[number + 1 :]


def test_one_pacs_alone_is_walked(root: Path) -> None:
    assert walked(root, pacs="B") == ORDER[-2:]
    assert walked(root, pacs="NONE") == []


def test_folders_in_which_nothing_changed_since_are_left_out(root: Path) -> None:
    for folder in FOLDERS[:-1]:
        os.utime(root / folder, (1000, 1000))
    assert walked(root, since=2000.0) == FOLDERS[-1:]


def test_only_instances_count_and_nothing_outside_series_folders(root: Path) -> None:
    folder = root / FOLDERS[0]
    (folder / ".0002-1.3.dcm.part").touch()
    (folder / "sub.dcm").mkdir()
    (folder / "link.dcm").symlink_to(folder / "0001-1.2.dcm")
    (folder.parent / "0003-1.4.dcm").touch()
    for space in (DEFAULT_SPACE, "a.space.of.its.own"):
        (root / "SERVICES/PACS" / space / "SERVICES/PACS/A").mkdir(parents=True)
    found = {one.path: one.files for one in series_folders(root) if one is not None}
    assert sorted(found) == sorted(FOLDERS)
    assert found[FOLDERS[0]] == {"0001-1.2.dcm": (folder / "0001-1.2.dcm").stat().st_mtime}


@pytest.mark.parametrize("level", ["A", "A/p", "A/p/s", "A/p/s/c"])
def test_a_folder_that_may_not_be_read_is_told_and_the_walk_goes_on(
    root: Path, monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if path == root / "SERVICES/PACS" / level:
            raise PermissionError
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)
    found = [one for one in series_folders(root) if one is not None]
    assert [one.path for one in found if one.fault] == [f"SERVICES/PACS/{level}"]
    assert found[-1].path == ORDER[-1]


def test_a_file_that_disappears_during_the_look_takes_none_of_the_others_along(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = root / FOLDERS[0]
    (folder / "0002-1.3.dcm").touch()
    whole = os.scandir(folder)

    class Gone:
        name = "0001-1.2.dcm"

        def is_file(self, **_: bool) -> bool:
            return True

        def stat(self, **_: bool) -> os.stat_result:
            raise FileNotFoundError

    entries = [Gone(), *(one for one in whole if one.name != Gone.name)]
    monkeypatch.setattr("os.scandir", lambda _: nullcontext(entries))
    assert list(_files(folder)) == ["0002-1.3.dcm"]


BEGIN = State(scope={"root": "/data", "pacs": ""})


def test_the_state_is_read_again_and_only_by_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "state"
    assert read_state(path, BEGIN) == read_state(None, BEGIN) == BEGIN
    write_state(path, BEGIN.at(os.fsdecode(b"a\xff%"), 3))
    assert path.stat().st_mode & 0o777 == 0o600
    again = read_state(path, BEGIN)
    assert (again.folder, again.left) == (os.fsdecode(b"a\xff%"), 3)


@pytest.mark.parametrize("text", ["", "[]", '{"after": 1}', '{"after": "x", "scope": {}}'])
def test_another_file_is_no_state(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state"
    path.write_text(text)
    with pytest.raises(OperatorError):
        read_state(path, BEGIN)


def test_a_run_that_goes_on_looks_back_as_far_as_the_one_before(tmp_path: Path) -> None:
    first, later = datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC)
    path = tmp_path / "state"
    write_state(path, State(scope={}, since=first))
    assert read_state(path, State(scope={}, since=later)).since == first
    with pytest.raises(OperatorError, match="of a run with other options"):
        read_state(path, State(scope={}))


def test_a_state_that_cannot_be_read_or_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="cannot be read"):
        read_state(tmp_path, BEGIN)
    with pytest.raises(OperatorError, match="cannot be written"):
        write_state(tmp_path / "none" / "state", BEGIN)
