"""CUBE up to v5: a registration is one file."""

import json

import pytest

from tests.support.cube.contract import (
    ALREADY_REGISTERED,
    COULD_NOT_FIND_PATH,
    PACS_ALREADY_EXISTS,
    SERVER_ERROR,
)
from tests.support.cube.rows import OMIT, OTHER
from tests.support.cube.under_test import CubeUnderTest

pytestmark = pytest.mark.generation(5)


def test_a_registration_shows_all_that_cube_shows(cube: CubeUnderTest) -> None:
    answered = cube.register(PatientAge=OMIT, Modality=OMIT)
    shown = json.loads(answered.text)
    assert answered.status == 201
    assert answered.headers["location"] == shown["url"]
    assert shown["url"].endswith(f"/api/v1/pacsfiles/{shown['id']}/")
    assert (shown["fname"], shown["fsize"], shown["pacs_identifier"]) == (cube.path, 4, cube.pacs)
    assert (shown["PatientAge"], shown["Modality"], shown["StudyDate"]) == (None, "", "2024-01-02")


def _register_many(cube: CubeUnderTest, count: int) -> None:
    for number in range(count):
        path = f"SERVICES/PACS/RowPacs/s{number % 2}/{number}.dcm"
        cube.write(path)
        assert cube.register(path=path, SeriesInstanceUID=f"1.{number % 2}").status == 201


def test_the_search_counts_pages_and_filters(cube: CubeUnderTest) -> None:
    _register_many(cube, 25)
    first = cube.search("pacsfiles")
    assert (first["count"], len(first["results"]), first["previous"]) == (25, 10, None)
    assert cube.search("pacsfiles", limit=0)["results"] == first["results"]
    assert len(cube.search("pacsfiles", limit=100)["results"]) == 25
    last = cube.search("pacsfiles", limit=10, offset=20)
    assert (len(last["results"]), last["next"]) == (5, None)
    beyond = cube.search("pacsfiles", limit=1, offset=1_000_000)
    assert (beyond["count"], beyond["results"]) == (25, [])
    assert cube.search("pacsfiles", fname=cube.ours("SERVICES/PACS/RowPacs/s1/"))["count"] == 12
    assert cube.search("pacsfiles", fname_exact=cube.ours("SERVICES/PACS/RowPacs/s1/1.dcm"))["count"] == 1
    assert cube.search("pacsfiles", SeriesInstanceUID="1.0")["count"] == 13
    assert cube.search("pacsfiles", PatientName="a", PatientID=1)["count"] == 25


def test_a_file_that_is_gone_breaks_each_page_with_it_but_not_the_count(cube: CubeUnderTest) -> None:
    _register_many(cube, 12)
    file = cube.root / cube.ours("SERVICES/PACS/RowPacs/s0/0.dcm")
    file.unlink()
    try:
        ours = f"pacs_identifier={cube.pacs}"
        answered = cube.ask("GET", "pacsfiles/search/", query=f"{ours}&limit=100")
        assert (answered.status, answered.text) == (500, SERVER_ERROR.body)
        assert cube.search("pacsfiles", limit=1, offset=99999)["count"] == 12
    finally:
        file.write_bytes(b"back")
    assert cube.search("pacsfiles", limit=100)["count"] == 12


def test_a_path_out_of_the_root_is_a_500_and_stored_all_the_same(switches: CubeUnderTest) -> None:
    outside = "SERVICES/PACS/RowPacs/../../../../x.dcm"
    assert switches.register(path=outside).status == 500
    assert switches.search("pacsfiles", limit=1, offset=99999)["count"] == 1
    assert switches.ask("GET", "pacsfiles/").status == 500


def test_the_longest_path_has_512_characters_not_bytes(cube: CubeUnderTest) -> None:
    folder = cube.ours("SERVICES/PACS/RowPacs/")
    parts = ["ä" * 100] * 4
    path = folder + "/".join([*parts, "ö" * (512 - len(folder) - 404)])
    cube.write(path)
    assert len(path) == 512
    assert cube.register(path=path).status == 201


def test_paths_are_not_normalised(cube: CubeUnderTest) -> None:
    cube.write("SERVICES/PACS/RowPacs/a/b")
    assert cube.register(path="SERVICES/PACS/RowPacs/a/b").status == 201
    assert cube.register(path="SERVICES/PACS/RowPacs/a//b").status == 201
    assert cube.search("pacsfiles")["count"] == 2


def test_of_simultaneous_registrations_of_one_path_one_is_created(cube: CubeUnderTest) -> None:
    cube.write(OTHER)
    assert cube.register(path=OTHER).status == 201  # the PACS exists
    answers = cube.register_together({}, {}, {}, {})
    losers = {(one.status, one.text) for one in answers if one.status != 201}
    assert len([one for one in answers if one.status == 201]) == 1
    assert losers <= {(500, SERVER_ERROR.body), (400, ALREADY_REGISTERED.body)}
    repeated = cube.register_together({}, {})
    assert {(one.status, one.text) for one in repeated} == {(400, ALREADY_REGISTERED.body)}
    assert cube.search("pacsfiles", fname_exact=cube.path)["count"] == 1


def test_who_creates_a_pacs_at_the_same_time_is_refused_at_most_once(cube: CubeUnderTest) -> None:
    cube.write(OTHER)
    answers = cube.register_together({}, {"path": OTHER})
    assert {one.text for one in answers if one.status != 201} <= {PACS_ALREADY_EXISTS.body}
    assert {cube.register().status, cube.register(path=OTHER).status} <= {201, 400}
    assert cube.search("pacsfiles")["count"] == 2


def test_a_file_that_comes_after_its_refusal_is_registered(cube: CubeUnderTest) -> None:
    (cube.root / cube.path).unlink()
    answered = cube.register()
    assert (answered.status, answered.text) == (400, COULD_NOT_FIND_PATH.body)
    cube.write()
    assert cube.register().status == 201
