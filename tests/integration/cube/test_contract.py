"""The stand-in CUBE answers as the contract says, row by row, byte by byte."""

import json
from pathlib import Path

import pytest

from tests.support.cube.app import StandInCube
from tests.support.cube.contract import SERVER_ERROR
from tests.support.cube.in_process import TOKEN, CubeInProcess, body_of
from tests.support.cube.rows import OMIT, PATH, ROWS, Condition, Row


@pytest.fixture
def root(tmp_path: Path) -> Path:
    file = tmp_path / "root" / PATH
    file.parent.mkdir(parents=True)
    file.write_bytes(b"DICM")
    return tmp_path / "root"


@pytest.fixture
def cube(root: Path) -> CubeInProcess:
    return CubeInProcess(StandInCube(root))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_row_is_answered_as_quoted(cube: CubeInProcess, root: Path, row: Row) -> None:
    path = str(row.fields.get("path", PATH))
    if row.condition is Condition.REGISTERED:
        assert cube.register() == 201
    elif row.condition is Condition.FILE_MISSING:
        (root / PATH).unlink()
    elif row.condition is Condition.DIRECTORY:
        (root / PATH).unlink()
        (root / PATH).mkdir()
    elif row.condition is Condition.VOLUME_GONE:
        cube.ask("POST", "/_control/volume-gone")
    elif row.condition is Condition.DATABASE_DOWN:
        cube.ask("POST", "/_control/database-down")
    elif row.condition is Condition.TOKENS_INVALID:
        cube.ask("POST", "/_control/invalidate-tokens")
    elif row.condition is Condition.SCRIPTED:
        script = {
            "status": row.answer.status,
            "body": row.answer.body,
            "content_type": row.answer.content_type,
        }
        cube.ask("POST", "/_control/fail", json.dumps(script).encode())
    elif path.startswith("SERVICES/") and ".." not in path:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"DICM")

    body = body_of(**row.fields) if row.raw is None else row.raw
    status, headers, text = cube.ask(row.method, f"/api/v1/{row.route}", body, dict(row.headers))

    assert status == row.answer.status, text
    assert headers["content-type"] == row.answer.content_type
    if row.exact:
        assert text == row.answer.body
    for name, value in row.answer.headers:
        assert headers[name.lower()] == value
    probe = cube.ask("GET", "/api/v1/chrisinstance/1/", headers=_credentials(row))[0]
    assert (probe == 200) is row.probe_succeeds


def _credentials(row: Row) -> dict[str, str | None]:
    return {name: value for name, value in row.headers.items() if name == "Authorization"}


def test_a_registration_shows_all_that_cube_shows(cube: CubeInProcess) -> None:
    status, headers, text = cube.ask("POST", "/api/v1/pacsfiles/", body_of(PatientAge=OMIT, Modality=OMIT))
    shown = json.loads(text)
    assert status == 201
    assert headers["location"] == shown["url"] == "http://localhost/api/v1/pacsfiles/1/"
    assert (shown["fname"], shown["fsize"], shown["pacs_identifier"]) == (PATH, 4, "RowPacs")
    assert (shown["PatientAge"], shown["Modality"], shown["StudyDate"]) == (None, "", "2024-01-02")


def test_unauthorised_answers_name_the_scheme(cube: CubeInProcess) -> None:
    assert (
        cube.ask("GET", "/api/v1/pacsfiles/", headers={"Authorization": None})[1]["www-authenticate"]
        == "Token"
    )


def test_the_home_tells_the_generation_without_credentials(cube: CubeInProcess) -> None:
    links = cube.json("GET", "/api/v1/", headers={"Authorization": None})["collection_links"]
    assert links["pacsfiles"] == "http://localhost/api/v1/pacsfiles/"
    assert "pacsseries" not in links


def test_the_home_and_the_users_stay_well_while_the_database_is_down(cube: CubeInProcess) -> None:
    cube.ask("POST", "/_control/database-down")
    for path in ("/api/v1/", "/api/v1/users/"):
        assert cube.ask("GET", path, headers={"Authorization": None})[0] == 200
    assert cube.ask("GET", "/api/v1/pacsfiles/search/")[0] == 500
    cube.ask("POST", "/_control/heal")
    assert cube.register() == 201


def test_a_token_is_given_for_the_password_and_stays_the_same(cube: CubeInProcess) -> None:
    login = json.dumps({"username": "chris", "password": "chris1234"}).encode()
    tokens = {cube.json("POST", "/api/v1/auth-token/", body=login)["token"] for _ in range(2)}
    assert tokens == {TOKEN}
    assert len(TOKEN) == 40
    form = b"username=chris&password=chris1234"
    content = {"Content-Type": "application/x-www-form-urlencoded"}
    assert cube.json("POST", "/api/v1/auth-token/", body=form, headers=content)["token"] == TOKEN


def test_a_wrong_password_gives_no_token(cube: CubeInProcess) -> None:
    login = json.dumps({"username": "chris", "password": "x"}).encode()
    status, _, text = cube.ask("POST", "/api/v1/auth-token/", login)
    assert (status, text) == (400, '{"non_field_errors":["Unable to log in with provided credentials."]}')


def test_without_accept_the_answer_is_collection_json(cube: CubeInProcess) -> None:
    for accept in (None, "*/*"):
        status, headers, text = cube.ask(
            "POST", "/api/v1/pacsfiles/", body_of(PatientID=""), {"Accept": accept}
        )
        assert (status, headers["content-type"]) == (400, "application/vnd.collection+json")
        message = json.loads(text)["collection"]["error"]["message"]
        assert json.loads(message) == {"PatientID": ["This field may not be blank."]}


def test_a_list_in_accept_works_but_not_for_a_500(cube: CubeInProcess) -> None:
    accept: dict[str, str | None] = {"Accept": "application/json, */*;q=0.5"}
    assert (
        cube.ask("GET", "/api/v1/chrisinstance/1/", headers=accept)[1]["content-type"] == "application/json"
    )
    cube.ask("POST", "/_control/database-down")
    _, headers, _ = cube.ask("GET", "/api/v1/chrisinstance/1/", headers=accept)
    assert headers["content-type"] == "application/vnd.collection+json"


def test_a_slash_that_is_missing_leads_to_the_path_with_it(cube: CubeInProcess) -> None:
    assert cube.ask("GET", "/api/v1/pacsfiles")[1]["location"] == "/api/v1/pacsfiles/"


def _register_many(cube: CubeInProcess, root: Path, count: int) -> None:
    for number in range(count):
        path = f"SERVICES/PACS/RowPacs/s{number % 2}/{number}.dcm"
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(b"x")
        assert cube.register(path=path, SeriesInstanceUID=f"1.{number % 2}") == 201


def test_the_search_counts_pages_and_filters(cube: CubeInProcess, root: Path) -> None:
    _register_many(cube, root, 25)
    search = "/api/v1/pacsfiles/search/"
    first = cube.json("GET", search)
    assert (first["count"], len(first["results"]), first["previous"]) == (25, 10, None)
    assert cube.json("GET", search, query="limit=0")["results"] == first["results"]
    assert len(cube.json("GET", search, query="limit=100")["results"]) == 25
    last = cube.json("GET", search, query="limit=10&offset=20")
    assert (len(last["results"]), last["next"]) == (5, None)
    beyond = cube.json("GET", search, query="limit=1&offset=1000000")
    assert (beyond["count"], beyond["results"]) == (25, [])
    assert cube.json("GET", search, query="fname=SERVICES/PACS/RowPacs/s1/")["count"] == 12
    assert cube.json("GET", search, query="fname_exact=SERVICES/PACS/RowPacs/s1/1.dcm")["count"] == 1
    assert cube.json("GET", search, query="SeriesInstanceUID=1.0")["count"] == 13
    assert cube.json("GET", search, query="PatientName=a&PatientID=1")["count"] == 25


def test_parameters_that_are_no_filters_give_everything(cube: CubeInProcess, root: Path) -> None:
    _register_many(cube, root, 3)
    assert cube.json("GET", "/api/v1/pacsfiles/search/", query="Modality=CT&pacs_name=x")["count"] == 3


def test_a_date_that_is_none_is_refused_by_the_search(cube: CubeInProcess) -> None:
    assert cube.ask("GET", "/api/v1/pacsfiles/search/", query="StudyDate=x")[0] == 400


def test_a_file_that_is_gone_breaks_each_page_with_it_but_not_the_count(
    cube: CubeInProcess, root: Path
) -> None:
    _register_many(cube, root, 12)
    (root / "SERVICES/PACS/RowPacs/s0/0.dcm").unlink()
    assert cube.ask("GET", "/api/v1/pacsfiles/")[0] == 200
    status, _, text = cube.ask("GET", "/api/v1/pacsfiles/", query="offset=10")
    assert (status, text) == (500, SERVER_ERROR.body)
    assert cube.json("GET", "/api/v1/pacsfiles/search/", query="limit=1&offset=99999")["count"] == 12


def test_a_path_out_of_the_root_is_a_500_and_stored_all_the_same(cube: CubeInProcess) -> None:
    assert cube.register(path="SERVICES/PACS/RowPacs/../../../../x.dcm") == 500
    assert cube.json("GET", "/_control/counts") == {"SERVICES/PACS/RowPacs/../../../../x.dcm": 1}
    assert cube.ask("GET", "/api/v1/pacsfiles/")[0] == 500


def test_the_longest_path_has_512_characters_not_bytes(cube: CubeInProcess, root: Path) -> None:
    folder = "SERVICES/PACS/RowPacs/"
    parts = ["ä" * 100] * 4
    name = "/".join([*parts, "ö" * (512 - len(folder) - 404)])
    (root / folder / name).parent.mkdir(parents=True)
    (root / folder / name).write_bytes(b"")
    assert len(folder + name) == 512
    assert cube.register(path=folder + name) == 201


def test_paths_are_not_normalised(cube: CubeInProcess, root: Path) -> None:
    (root / "SERVICES/PACS/RowPacs/a").mkdir()
    (root / "SERVICES/PACS/RowPacs/a/b").write_bytes(b"")
    assert cube.register(path="SERVICES/PACS/RowPacs/a/b") == 201
    assert cube.register(path="SERVICES/PACS/RowPacs/a//b") == 201
    assert len(cube.json("GET", "/_control/counts")) == 2
