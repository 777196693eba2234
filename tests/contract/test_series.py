"""CUBE v6 and later: a registration is one series, all files of a folder at once."""

import json
import threading
import time
from typing import Any

import pytest

from tests.support.cube.contract import DUPLICATE_SERIES, OTHER_COUNT, SERVER_ERROR
from tests.support.cube.in_process import Answered
from tests.support.cube.rows import FOLDER, OMIT
from tests.support.cube.under_test import CubeUnderTest

pytestmark = pytest.mark.generation(6)

STUDY = FOLDER.rpartition("/")[0]
PATIENT = STUDY.rpartition("/")[0]
READER = {"Authorization": "Basic cmVhZGVyOnJlYWRlcjEyMzQ="}
SOMEBODY = {"Authorization": "Basic c29tZWJvZHk6c29tZWJvZHkxMjM0"}


def _names(cube: CubeUnderTest, folder: str = FOLDER) -> set[str]:
    """The registered files of a folder, relative to it."""
    inside = f"{cube.ours(folder)}/"
    rows = cube.search("pacs/files", fname=inside, limit=1000)["results"]
    return {row["fname"].removeprefix(inside) for row in rows}


def _is_refused(cube: CubeUnderTest, answered: Answered, found: int, ndicom: int) -> bool:
    text = OTHER_COUNT.format(cube.path, found, ndicom)
    return (answered.status, json.loads(answered.text)) == (400, {"non_field_errors": [text]})


def _is_duplicate(cube: CubeUnderTest, answered: Answered, uid: str = "1.2.4") -> bool:
    return (answered.status, json.loads(answered.text)) == (400, [DUPLICATE_SERIES.format(uid, cube.pacs)])


def test_a_registration_shows_all_that_cube_shows(cube: CubeUnderTest) -> None:
    answered = cube.register(PatientAge=OMIT, Modality=OMIT)
    shown = json.loads(answered.text)
    assert answered.status == 201
    assert answered.headers["location"] == shown["url"]
    assert shown["url"].endswith(f"/api/v1/pacs/series/{shown['id']}/")
    assert (shown["folder_path"], shown["pacs_identifier"]) == (cube.path, cube.pacs)
    assert (shown["PatientAge"], shown["Modality"], shown["StudyDate"]) == (None, "", "2024-01-02")
    deletion = {name: value for name, value in shown.items() if name.startswith("deletion_")}
    inactive = {"deletion_status": "inactive", "deletion_requested_at": None, "deletion_error": ""}
    assert deletion == (inactive if cube.deletes else {})
    assert not {"path", "ndicom", "pacs_name"} & set(shown)


def test_all_files_of_the_folder_are_registered_whatever_their_names(cube: CubeUnderTest) -> None:
    for name in (".3.dcm.part", "notes.json", "deep/er/2.dcm", "4.DCM"):
        cube.write(f"{FOLDER}/{name}")
    assert cube.register(ndicom=2).status == 201  # in lower case, and also deep down
    assert _names(cube) == {"0001-1.2.3.dcm", ".3.dcm.part", "notes.json", "deep/er/2.dcm", "4.DCM"}


def test_more_files_than_expected_are_refused_at_once(cube: CubeUnderTest) -> None:
    cube.write(f"{FOLDER}/2.dcm")
    began = time.monotonic()
    assert _is_refused(cube, cube.register(ndicom=1), 2, 1)
    assert time.monotonic() - began < 20
    assert cube.register(ndicom=2).status == 201


def test_fewer_files_than_expected_are_waited_for_and_then_refused(cube: CubeUnderTest) -> None:
    assert _is_refused(cube, cube.register(ndicom=2), 1, 2)
    assert cube.register(ndicom=1).status == 201


def test_a_folder_that_is_not_there_is_one_of_no_files(cube: CubeUnderTest) -> None:
    (cube.root / cube.path / "0001-1.2.3.dcm").unlink()
    (cube.root / cube.path).rmdir()
    assert _is_refused(cube, cube.register(), 0, 1)


def test_a_file_that_comes_while_cube_waits_for_it_completes_the_series(cube: CubeUnderTest) -> None:
    answers: list[Answered] = []
    asking = threading.Thread(target=lambda: answers.append(cube.register(ndicom=2)))
    asking.start()
    cube.write(f"{FOLDER}/2.dcm")
    asking.join(60)
    assert [answered.status for answered in answers] == [201]
    assert len(_names(cube)) == 2


def test_a_registered_series_is_refused_in_a_list_and_only_after_the_count(cube: CubeUnderTest) -> None:
    assert cube.register().status == 201
    assert _is_duplicate(cube, cube.register())
    cube.write(f"{FOLDER}/late.dcm")
    assert _is_refused(cube, cube.register(ndicom=1), 2, 1)
    assert _is_duplicate(cube, cube.register(ndicom=2))  # no way for a late file
    assert _names(cube) == {"0001-1.2.3.dcm"}
    assert cube.search("pacs/series", SeriesInstanceUID="1.2.4")["count"] == 1


def test_a_series_is_refused_wherever_its_files_are_but_not_in_another_pacs(cube: CubeUnderTest) -> None:
    assert cube.register().status == 201
    cube.write(f"{STUDY}/other/1.dcm")
    assert _is_duplicate(cube, cube.register(path=f"{STUDY}/other"))
    assert cube.search("pacs/series", SeriesInstanceUID="1.2.4")["count"] == 1


@pytest.mark.parametrize("folder", [FOLDER, f"{FOLDER}/inside", STUDY])
def test_a_folder_that_is_in_a_registered_one_or_around_it_is_a_500(cube: CubeUnderTest, folder: str) -> None:
    cube.write(f"{FOLDER}/inside/2.dcm")
    assert cube.register(ndicom=2).status == 201
    dicom = 1 if folder.endswith("inside") else 2
    answered = cube.register(path=folder, ndicom=dicom, SeriesInstanceUID="1.2.5")
    assert (answered.status, answered.text) == (500, SERVER_ERROR.body)
    assert cube.search("pacs/series")["count"] == 1


def test_commas_are_taken_out_of_names_on_the_disk(cube: CubeUnderTest) -> None:
    for name in ("a,b.dcm", "c,d/e,f.dcm", ", ,"):
        cube.write(f"{FOLDER}/{name}")
    assert cube.register(ndicom=3).status == 201
    expected = {"0001-1.2.3.dcm", "ab.dcm", "cd/ef.dcm"}
    assert _names(cube) == expected
    folder = cube.root / cube.path
    assert {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()} == expected


def test_a_file_whose_path_is_too_long_is_a_500(cube: CubeUnderTest) -> None:
    parts = "/".join(["f" * 200] * 5)
    path = f"SERVICES/PACS/RowPacs/{parts}"[:1010].rstrip("/")
    cube.write(f"{path}/a-name-of-24-letters.dcm")
    answered = cube.register(path=path)
    assert (answered.status, answered.text) == (500, SERVER_ERROR.body)
    assert cube.search("pacs/series")["count"] == 0


def test_first_contacts_at_one_time_are_a_201_or_a_500_and_the_repetition_a_201(cube: CubeUnderTest) -> None:
    changes: list[dict[str, Any]] = []
    for number in range(4):
        folder = f"SERVICES/PACS/RowPacs/{number}-A/study/series"
        cube.write(f"{folder}/1.dcm")
        changes.append({"path": folder, "SeriesInstanceUID": f"1.3.{number}", "PatientID": str(number)})
    answers = cube.register_together(*changes)
    failed = [change for change, one in zip(changes, answers, strict=True) if one.status != 201]
    assert {one.text for one in answers if one.status != 201} <= {SERVER_ERROR.body}
    assert [cube.register(**change).status for change in failed] == [201] * len(failed)
    assert cube.search("pacs/series")["count"] == 4


def test_the_stand_in_lets_one_of_those_first_contacts_through(switches: CubeUnderTest) -> None:
    folders = [f"{PATIENT}/study-{number}/series" for number in range(3)]
    for folder in folders:
        switches.write(f"{folder}/1.dcm")
    changes = [{"path": path, "SeriesInstanceUID": f"1.3.{number}"} for number, path in enumerate(folders)]
    answers = switches.register_together(*changes)
    assert sorted(one.status for one in answers) == [201, 500, 500]


def test_one_after_the_other_makes_no_500(cube: CubeUnderTest) -> None:
    for number in range(3):
        folder = f"SERVICES/PACS/RowPacs/{number}-A/study/series"
        cube.write(f"{folder}/1.dcm")
        assert cube.register(path=folder, SeriesInstanceUID=f"1.3.{number}").status == 201


def test_a_deleted_series_takes_along_what_was_never_registered_and_may_come_again(
    cube: CubeUnderTest,
) -> None:
    series = json.loads(cube.register().text)
    if not cube.deletes:
        assert cube.ask("DELETE", f"pacs/series/{series['id']}/").status == 405
        pytest.skip("this CUBE is older than v6.10")
    cube.write(f"{FOLDER}/late.dcm")
    answered = cube.ask("DELETE", f"pacs/series/{series['id']}/")
    assert answered.status == 202
    assert json.loads(answered.text)["deletion_status"] == "pending"
    assert cube.until_deleted()
    assert not (cube.root / cube.path).exists()
    assert _names(cube) == set()
    cube.write()
    assert cube.register().status == 201


def test_a_series_whose_deletion_is_pending_is_still_registered(switches: CubeUnderTest) -> None:
    series = json.loads(switches.register().text)
    switches.throw("worker-stopped")
    assert switches.ask("DELETE", f"pacs/series/{series['id']}/").status == 202
    assert _is_duplicate(switches, switches.register())
    assert switches.search("pacs/series", deletion_status="pending")["count"] == 1
    switches.throw("heal")
    assert switches.search("pacs/series")["count"] == 0


def test_a_deletion_without_a_broker_is_a_500_and_stays_pending(switches: CubeUnderTest) -> None:
    series = json.loads(switches.register().text)
    switches.throw("worker-stopped")
    switches.throw("no-broker")
    assert switches.ask("DELETE", f"pacs/series/{series['id']}/").status == 500
    assert switches.search("pacs/series", deletion_status="pending")["count"] == 1


def test_a_half_registered_series_is_a_500_for_ever_until_its_files_are_taken_away(
    switches: CubeUnderTest,
) -> None:
    switches.throw("break-off")
    assert [switches.register().status for _ in range(2)] == [500, 500]
    switches.throw("heal")
    assert switches.register().status == 500
    assert (switches.search("pacs/series")["count"], _names(switches)) == (0, {"0001-1.2.3.dcm"})
    folders = switches.json("GET", "filebrowser/search/", query=f"path={switches.path}")["results"]
    files = switches.json("GET", f"filebrowser/{folders[0]['id']}/files/")["results"]
    for file in files:
        assert switches.ask("DELETE", f"filebrowser/files/{file['id']}/").status == 204
    assert (switches.root / switches.path / "0001-1.2.3.dcm").exists()
    assert switches.register().status == 201


def test_members_of_pacs_users_read_and_nobody_else_does(switches: CubeUnderTest) -> None:
    assert switches.register().status == 201
    for route in ("pacs/series/", "pacs/series/search/", "pacs/files/", "pacs/search/"):
        assert switches.ask("GET", route, headers=READER).status == 200
        assert switches.ask("GET", route, headers=SOMEBODY).status == 403
    assert switches.ask("POST", "pacs/series/", switches.body(), READER).status == 403


def test_the_search_counts_pages_and_filters(cube: CubeUnderTest) -> None:
    for number in range(12):
        folder = f"{STUDY}/{number}"
        cube.write(f"{folder}/1.dcm")
        assert cube.register(path=folder, SeriesInstanceUID=f"1.3.{number}").status == 201
    first = cube.search("pacs/series")
    assert (first["count"], len(first["results"])) == (12, 10)
    assert len(cube.search("pacs/series", limit=100)["results"]) == 12
    assert cube.search("pacs/series", limit=1, offset=99999)["count"] == 12
    assert cube.search("pacs/series", SeriesInstanceUID="1.3.7")["count"] == 1
    assert cube.search("pacs/series", PatientID="2")["count"] == 0
    inside = cube.ours(f"{STUDY}/7/")
    assert cube.search("pacs/files", fname=inside)["count"] == 1
    assert cube.search("pacs/files", fname=inside, SeriesInstanceUID="none")["count"] == 1
    (pacs,) = cube.json("GET", "pacs/search/", query=f"identifier={cube.pacs}")["results"]
    assert cube.json("GET", f"pacs/{pacs['id']}/series/")["count"] == 12


def test_a_missing_file_breaks_a_page_of_files_and_no_page_of_series(cube: CubeUnderTest) -> None:
    assert cube.register().status == 201
    (cube.root / cube.path / "0001-1.2.3.dcm").unlink()
    inside = f"fname={cube.path}/"
    try:
        assert cube.ask("GET", "pacs/files/search/", query=inside).status == 500
        assert cube.search("pacs/files", fname=f"{cube.path}/", limit=1, offset=99999)["count"] == 1
        assert cube.search("pacs/series")["count"] == 1
    finally:
        cube.write()
