"""Open markers and marks of healing: where they are, and what their absence means."""

from pathlib import Path

import pytest

from lapidicom.common.open_series import (
    count_files,
    healing_mark,
    is_being_healed,
    is_open,
    life_of,
    marker_name,
    markers_folder,
)

UID = "1.2.840.1"


def test_paths_are_told_relative_to_the_spool() -> None:
    assert markers_folder("MODALITY", UID) == "open/MODALITY/1.2.840.1"
    assert healing_mark("MODALITY", UID) == "healing/MODALITY/1.2.840.1"
    assert life_of(marker_name("0" * 32, "b2c9a2d4-0000-4000-8000-000000000000")) == "0" * 32


@pytest.mark.parametrize("uid", [".", "..", "...", "." * 63])
def test_a_uid_of_dots_alone_leads_nowhere_else(uid: str) -> None:
    assert markers_folder("MODALITY", uid) == f"open/MODALITY/_{uid}"
    assert healing_mark("MODALITY", uid) == f"healing/MODALITY/_{uid}"


@pytest.mark.parametrize("value", ["", "a/b", "../..", "a\0b", "a b", "1" * 65])
def test_what_is_no_sanitised_name_and_no_uid_is_refused(value: str) -> None:
    for make in (markers_folder, healing_mark):
        with pytest.raises(ValueError, match="not a sanitised"):
            make("MODALITY", value)
        with pytest.raises(ValueError, match="not a sanitised"):
            make(value, UID)


def test_a_series_is_open_while_a_marker_of_any_association_is_there(tmp_path: Path) -> None:
    assert not is_open(tmp_path, "MODALITY", UID)
    folder = tmp_path / markers_folder("MODALITY", UID)
    folder.mkdir(parents=True)
    assert not is_open(tmp_path, "MODALITY", UID)
    marker = folder / marker_name("0" * 32, "association")
    marker.touch()
    assert is_open(tmp_path, "MODALITY", UID)
    assert not is_open(tmp_path, "OTHER", UID)
    marker.unlink()
    assert not is_open(tmp_path, "MODALITY", UID)


def test_a_series_is_healed_while_its_mark_is_there(tmp_path: Path) -> None:
    assert not is_being_healed(tmp_path, "MODALITY", UID)
    mark = tmp_path / healing_mark("MODALITY", UID)
    mark.parent.mkdir(parents=True)
    mark.touch()
    assert is_being_healed(tmp_path, "MODALITY", UID)


def test_a_spool_that_cannot_be_read_is_no_answer(tmp_path: Path) -> None:
    (tmp_path / "open").touch()
    (tmp_path / "healing").touch()
    with pytest.raises(NotADirectoryError):
        is_open(tmp_path, "MODALITY", UID)
    with pytest.raises(NotADirectoryError):
        is_being_healed(tmp_path, "MODALITY", UID)


def test_only_names_that_cube_counts_are_counted(tmp_path: Path) -> None:
    for name in ("0001-1.2.dcm", "0002-1.3.dcm", "0003-1.4.DCM", "0004-1.5.dcm.part"):
        (tmp_path / name).touch()
    assert count_files(tmp_path) == 2
    with pytest.raises(FileNotFoundError):
        count_files(tmp_path / "none")
