"""A look at a series: its markers, and what is in its folder."""

import errno
import os
from pathlib import Path

import pytest

from lapidicom.common.open_series import healing_mark, markers_folder
from lapidicom.registrar.series.folder import look
from lapidicom.registrar.series.settling import Look

FOLDER = "SERVICES/PACS/X/p/s/r"
UID = "1.2.3"


def seen(root: Path) -> Look:
    return look(root, root / ".lapidicom", "X", UID, FOLDER)


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("1.dcm", "below/2.dcm", "3.DCM", "4.json"):
        touch(tmp_path / FOLDER / name)
    return tmp_path


def test_files_are_counted_as_cube_counts_them(root: Path) -> None:
    (root / FOLDER / "folder.dcm").mkdir()
    touch(root / FOLDER / ".5.dcm.part")
    assert (seen(root).count, seen(root).is_open) == (2, False)


def test_a_series_that_is_not_there_has_no_file(tmp_path: Path) -> None:
    assert seen(tmp_path) == Look(0, 0)


def test_a_series_is_open_as_long_as_a_marker_is_there(root: Path) -> None:
    marker = touch(root / ".lapidicom" / markers_folder("X", UID) / "life.association")
    assert seen(root).is_open
    marker.unlink()
    assert not seen(root).is_open


def test_a_series_that_is_being_healed_is_open(root: Path) -> None:
    touch(root / ".lapidicom" / healing_mark("X", UID))
    assert seen(root).is_open


def test_each_change_shows_even_if_no_file_was_added(root: Path) -> None:
    markers = root / ".lapidicom" / markers_folder("X", UID)
    markers.mkdir(parents=True)
    folder = root / FOLDER
    for number, changed in enumerate((folder, folder / "below", markers), 1):
        os.utime(changed, ns=(0, 2**62 + number))
        assert seen(root).touched == 2**62 + number


@pytest.mark.parametrize("call", ["listdir", "scandir", "stat"])
def test_a_volume_that_does_not_answer_shows_nothing(
    root: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "I/O error")

    (root / ".lapidicom" / markers_folder("X", UID)).mkdir(parents=True)
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="I/O error"):
        seen(root)
