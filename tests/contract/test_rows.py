"""CUBE answers as the contract says, row by row, byte by byte."""

import pytest

from tests.support.cube.rows import PATH, ROWS, Condition, Row
from tests.support.cube.under_test import CubeUnderTest

SWITCHES = {
    Condition.VOLUME_GONE: "volume-gone",
    Condition.DATABASE_DOWN: "database-down",
    Condition.TOKENS_INVALID: "invalidate-tokens",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each row and each generation that it is of."""
    cases = [(row, generation) for row in ROWS for generation in row.generations]
    names = [f"v{generation}-{row.name}" for row, generation in cases]
    metafunc.parametrize(("row", "cube"), cases, ids=names, indirect=["cube"])


def test_each_row_is_answered_as_quoted(cube: CubeUnderTest, row: Row) -> None:
    if cube.stand_in is None and (row.stand_in_only or row.condition in {*SWITCHES, Condition.SCRIPTED}):
        pytest.skip("only the stand-in can be told to be so")
    _bring_about(cube, row)

    body = cube.body(**row.fields) if row.raw is None else cube.ours(row.raw.decode()).encode()
    answered = cube.ask(row.method, row.route or cube.route, body, row.headers)

    assert answered.status == row.answer.status, answered.text
    assert answered.headers.get("content-type", "") == row.answer.content_type
    if row.exact:
        assert answered.text == cube.ours(row.answer.body)
    for name, value in row.answer.headers:
        assert answered.headers[name.lower()] == value
    credentials = {name: value for name, value in row.headers.items() if name == "Authorization"}
    probe = cube.ask("GET", "chrisinstance/1/", headers=credentials).status
    assert (probe == 200) is row.probe_succeeds


def _bring_about(cube: CubeUnderTest, row: Row) -> None:
    file = cube.root / cube.ours(PATH)
    match row.condition:
        case Condition.REGISTERED:
            assert cube.register().status == 201
        case Condition.FILE_MISSING:
            file.unlink()
        case Condition.DIRECTORY:
            file.unlink()
            file.mkdir()
        case Condition.SCRIPTED:
            answer = row.answer
            cube.throw("fail", status=answer.status, body=answer.body, content_type=answer.content_type)
        case Condition.PLAIN:
            path = str(row.fields.get("path", PATH)).strip(" /")
            if cube.generation == 5 and path.startswith("SERVICES/") and ".." not in path:
                cube.write(path)
        case _:
            cube.throw(SWITCHES[row.condition])
