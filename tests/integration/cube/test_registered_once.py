"""What of "registered exactly once" is CUBE's work, and how a test sees a registration that came twice."""

from pathlib import Path

from tests.support.cube.app import StandInCube
from tests.support.cube.contract import ALREADY_REGISTERED, PACS_ALREADY_EXISTS, SERVER_ERROR
from tests.support.cube.in_process import CubeInProcess
from tests.support.cube.rows import OTHER, PATH


def test_a_repeated_registration_is_refused_and_counted(cube: CubeInProcess) -> None:
    assert [cube.register(), cube.register(), cube.register()] == [201, 400, 400]
    assert cube.json("GET", "/_control/counts") == {PATH: 1}
    asked = cube.json("GET", "/_control/requests")
    assert (asked["created"], asked["repeated"], asked["attempts"]) == ({PATH: 1}, {PATH: 2}, {PATH: 3})


def test_where_duplicates_are_let_through_each_registration_is_a_row_and_a_201(root: Path) -> None:
    cube = CubeInProcess(StandInCube(root, unique=False))
    assert [cube.register(), cube.register(), cube.register()] == [201, 201, 201]
    assert cube.json("GET", "/_control/counts") == {PATH: 3}
    assert cube.json("GET", "/api/v1/pacsfiles/search/", query=f"fname_exact={PATH}")["count"] == 3


def test_a_row_without_a_201_counts_as_well(cube: CubeInProcess) -> None:
    cube.control("fail", stored=True, count=1)
    assert cube.register() == 500
    assert cube.json("GET", "/_control/counts") == {PATH: 1}
    assert cube.register() == 400


def test_of_simultaneous_registrations_of_one_path_one_is_created_and_the_others_are_a_500(
    cube: CubeInProcess,
) -> None:
    assert cube.register(path=OTHER) == 201  # the PACS exists
    answers = cube.register_together({}, {}, {})
    assert sorted(one.status for one in answers) == [201, 500, 500]
    assert {one.text for one in answers if one.status == 500} == {SERVER_ERROR.body}
    assert cube.ask("GET", "/api/v1/chrisinstance/1/").status == 200
    repeated = cube.register_together({}, {})
    assert {(one.status, one.text) for one in repeated} == {(400, ALREADY_REGISTERED.body)}
    assert cube.json("GET", "/_control/counts") == {OTHER: 1, PATH: 1}


def test_of_those_who_create_a_pacs_at_one_time_all_but_one_are_told_that_it_exists(
    cube: CubeInProcess,
) -> None:
    answers = cube.register_together({}, {"path": OTHER})
    assert sorted(one.status for one in answers) == [201, 400]
    (loser,) = [one for one in answers if one.status == 400]
    assert loser.text == PACS_ALREADY_EXISTS.body
    assert sorted([cube.register(), cube.register(path=OTHER)]) == [201, 400]
    assert cube.json("GET", "/_control/counts") == {PATH: 1, OTHER: 1}


def test_one_after_the_other_creates_the_pacs_without_a_refusal(cube: CubeInProcess) -> None:
    assert [cube.register(), cube.register(path=OTHER)] == [201, 201]
