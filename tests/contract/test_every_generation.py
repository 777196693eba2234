"""What CUBE does whatever its generation: accounts, forms of an answer, and what its home shows."""

import json

import pytest

from tests.support.cube import contract
from tests.support.cube.under_test import CubeUnderTest

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def test_unauthorised_answers_name_the_scheme(cube: CubeUnderTest) -> None:
    assert cube.ask("GET", cube.route, headers={"Authorization": None}).headers["www-authenticate"] == "Token"


def test_the_home_shows_the_generation_without_credentials(cube: CubeUnderTest) -> None:
    links = cube.json("GET", "", headers={"Authorization": None})["collection_links"]
    expected = contract.LINKS | (contract.LINKS_V6 if cube.generation == 6 else contract.LINKS_V5)
    assert {name: link.partition("/api/v1/")[2] for name, link in links.items()} == expected


def test_the_home_and_the_users_stay_well_while_the_database_is_down(switches: CubeUnderTest) -> None:
    switches.throw("database-down")
    for route in ("", "users/"):
        assert switches.ask("GET", route, headers={"Authorization": None}).status == 200
    assert switches.ask("GET", f"{switches.route}search/").status == 500
    switches.throw("heal")
    assert switches.register().status == 201


def test_a_token_is_given_for_the_password_and_stays_the_same(switches: CubeUnderTest) -> None:
    login = {"username": "chris", "password": "chris1234"}
    as_json = {
        switches.json("POST", "auth-token/", body=json.dumps(login).encode())["token"] for _ in range(2)
    }
    assert as_json == {switches.token}
    form = b"username=chris&password=chris1234"
    assert switches.json("POST", "auth-token/", body=form, headers=FORM)["token"] == switches.token


def test_a_token_has_forty_characters(cube: CubeUnderTest) -> None:
    assert len(cube.token) == 40


def test_a_wrong_password_gives_no_token(cube: CubeUnderTest) -> None:
    login = json.dumps({"username": "chris", "password": "x"}).encode()
    status, _, text = cube.ask("POST", "auth-token/", login, headers={"Authorization": None})
    assert (status, text) == (400, '{"non_field_errors":["Unable to log in with provided credentials."]}')


@pytest.mark.parametrize("accept", [None, "*/*"])
def test_without_accept_the_answer_is_collection_json(cube: CubeUnderTest, accept: str | None) -> None:
    answered = cube.ask("POST", cube.route, cube.body(PatientID=""), {"Accept": accept})
    assert (answered.status, answered.headers["content-type"]) == (400, "application/vnd.collection+json")
    message = json.loads(answered.text)["collection"]["error"]["message"]
    assert json.loads(message) == {"PatientID": ["This field may not be blank."]}


def test_a_list_in_accept_works(cube: CubeUnderTest) -> None:
    accept = {"Accept": "application/json, */*;q=0.5"}
    answered = cube.ask("GET", "chrisinstance/1/", headers=accept)
    assert answered.headers["content-type"] == "application/json"


def test_a_list_in_accept_does_not_work_for_a_500(switches: CubeUnderTest) -> None:
    switches.throw("database-down")
    answered = switches.ask("GET", "chrisinstance/1/", headers={"Accept": "application/json, */*;q=0.5"})
    assert answered.headers["content-type"] == "application/vnd.collection+json"


def test_a_slash_that_is_missing_leads_to_the_path_with_it(cube: CubeUnderTest) -> None:
    without = cube.route.rstrip("/")
    assert cube.ask("GET", without).headers["location"] == f"/api/v1/{without}/"


def test_parameters_that_are_no_filters_give_everything(cube: CubeUnderTest) -> None:
    assert cube.register().status == 201
    assert cube.search(cube.route.rstrip("/"), Modality="CT", pacs_name="x")["count"] == 1


def test_a_date_that_is_none_is_refused_by_the_search(cube: CubeUnderTest) -> None:
    assert cube.ask("GET", f"{cube.route}search/", query="StudyDate=x").status == 400


def test_a_number_that_nothing_has_is_a_404(cube: CubeUnderTest) -> None:
    expected = contract.no_such("PACSSeries") if cube.generation == 6 else contract.NO_SUCH_FILE
    answered = cube.ask("GET", f"{cube.route}99999999/")
    assert (answered.status, answered.text) == (404, expected.body)
