"""The stand-in as a process: it fails as it is told, and forgets nothing when it is killed."""

import http.client
import json
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.cube.contract import WRONG_DATE
from tests.support.cube.process import CubeProcess
from tests.support.cube.rows import FOLDER, PATH, REGISTRATION, SERIES
from tests.support.polling import eventually


@pytest.fixture
def cube(tmp_path: Path) -> Iterator[CubeProcess]:
    root = tmp_path / "root with a blank"
    (root / PATH).parent.mkdir(parents=True)
    (root / PATH).write_bytes(b"DICM")
    with CubeProcess(root) as process:
        yield process


def _ask(cube: CubeProcess, method: str, path: str, body: Any = None, timeout: float = 10) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", cube.port, timeout=timeout)
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    if path != "auth-token/":
        login = {"username": cube.username, "password": cube.password}
        headers["Authorization"] = f"Token {_ask(cube, 'POST', 'auth-token/', login)[1]['token']}"
    try:
        connection.request(method, f"/api/v1/{path}", json.dumps(body), headers)
        answer = connection.getresponse()
        assert answer.headers["Connection"] == ("close" if cube.connection_close else None)
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def _register(cube: CubeProcess, body: Mapping[str, Any] = REGISTRATION) -> int:
    return _ask(cube, "POST", "pacs/series/" if "ndicom" in body else "pacsfiles/", dict(body))[0]


def test_a_killed_stand_in_remembers_what_it_registered(cube: CubeProcess) -> None:
    assert _register(cube) == 201
    cube.kill()
    with pytest.raises(ConnectionRefusedError):
        _register(cube)
    cube.start()
    assert cube.control.counts() == {PATH: 1}
    assert _register(cube) == 400
    assert cube.control.registrations() == [{**REGISTRATION}]
    cube.kill()
    cube.start()
    assert (cube.control.created(), cube.control.repeated()) == ({PATH: 1}, {PATH: 1})


def test_a_killed_stand_in_of_v6_remembers_its_series_and_keeps_connections(tmp_path: Path) -> None:
    (tmp_path / PATH).parent.mkdir(parents=True)
    (tmp_path / PATH).write_bytes(b"DICM")
    with CubeProcess(tmp_path, generation=6, second=0.01) as process:
        assert _register(process, SERIES) == 201
        process.kill()
        process.start()
        assert process.control.counts() == process.control.created() == {FOLDER: 1}
        assert process.control.registrations() == [dict(SERIES)]
        assert _register(process, SERIES) == 400
        assert process.control.repeated() == {FOLDER: 1}
        assert _register(process, {**SERIES, "ndicom": 2}) == 400


def test_it_fails_as_often_as_it_is_told(cube: CubeProcess) -> None:
    cube.control.fail(503, "away", content_type="text/html", count=2)
    assert [cube.control.counts(), cube.control.attempts()] == [{}, {}]
    statuses = []
    for _ in range(2):
        with pytest.raises(json.JSONDecodeError):
            _register(cube)
    statuses.append(_register(cube))
    assert statuses == [201]
    assert cube.control.answers()["POST /api/v1/pacsfiles/ 201"] == 1


def test_a_failure_may_come_after_the_registration(cube: CubeProcess) -> None:
    cube.control.fail(500, count=1, stored=True, path_contains=PATH)
    assert _register(cube) == 500
    assert cube.control.counts() == {PATH: 1}
    assert _register(cube) == 400


def test_an_answer_may_break_off(cube: CubeProcess) -> None:
    cube.control.fail(201, "{}", count=1, stored=True, cut=True, path_contains=PATH)
    with pytest.raises(http.client.IncompleteRead):
        _register(cube)
    assert cube.control.paths() == {PATH}


def test_it_hangs_until_it_is_healed(cube: CubeProcess) -> None:
    cube.control.hang()
    statuses: list[int] = []
    thread = threading.Thread(target=lambda: statuses.append(_register(cube)))
    thread.start()
    eventually(lambda: cube.control.most_under_way() == 1, what="the request is under way")
    assert statuses == []
    cube.control.heal()
    thread.join(10)
    assert statuses == [201]


def test_it_is_slow_and_serves_few_at_a_time(cube: CubeProcess) -> None:
    cube.control.slow(0.1, workers=1)
    began = time.monotonic()
    assert _register(cube) == 201
    assert time.monotonic() - began >= 0.2  # the token and the registration


def test_refusing_is_403_and_invalid_tokens_are_renewed(cube: CubeProcess) -> None:
    cube.control.refuse()
    assert _register(cube) == 403
    cube.control.heal()
    cube.control.invalidate_tokens()
    assert _register(cube) == 201


def test_a_frozen_stand_in_answers_later(cube: CubeProcess) -> None:
    cube.pause()
    with pytest.raises(TimeoutError):
        _ask(cube, "POST", "auth-token/", {}, timeout=0.3)
    cube.resume()
    assert _register(cube) == 201


def test_forgetting_makes_it_new(cube: CubeProcess) -> None:
    assert _register(cube) == 201
    cube.control.forget()
    assert cube.control.counts() == {}
    cube.kill()
    cube.start()
    assert _register(cube) == 201


def test_a_drip_takes_long_for_an_answer_that_never_pauses_for_long(cube: CubeProcess) -> None:
    cube.control.drip(0.01)
    began = time.monotonic()
    assert _ask(cube, "POST", "auth-token/", {"username": "x"}) == (
        400,
        {"password": ["This field is required."]},
    )
    assert time.monotonic() - began > 0.2  # a pause of 0.01 s after each of some forty bytes
    cube.control.drip(60)
    statuses: list[int] = []
    thread = threading.Thread(target=lambda: statuses.append(_ask(cube, "POST", "auth-token/", {}, 20)[0]))
    thread.start()
    eventually(lambda: cube.control.answers().get("POST /api/v1/auth-token/ 400") == 2)
    cube.control.heal()
    thread.join(10)
    assert statuses == [400]


def test_a_proxy_answers_everything_and_registers_nothing(cube: CubeProcess) -> None:
    cube.control.answer_everything('{"ok":true}', content_type="application/json")
    assert _ask(cube, "POST", "auth-token/", {}) == (200, {"ok": True})
    cube.control.heal()
    cube.control.answer_everything()
    with pytest.raises(json.JSONDecodeError):
        _ask(cube, "POST", "auth-token/", {})
    assert cube.control.counts() == {}


def test_a_firewall_refuses_what_holds_a_text(cube: CubeProcess) -> None:
    cube.control.firewall('"SOMEBODY ELSE"')
    assert _register(cube) == 201
    cube.control.firewall('"1.2.4"', 400, '{"message":"not allowed"}')
    assert _ask(cube, "POST", "pacsfiles/", dict(REGISTRATION)) == (400, {"message": "not allowed"})


def test_a_value_is_refused_as_cube_refuses_one(cube: CubeProcess) -> None:
    cube.control.refuse_value("StudyDate", "2024-01-02", WRONG_DATE)
    assert _ask(cube, "POST", "pacsfiles/", dict(REGISTRATION)) == (400, {"StudyDate": [WRONG_DATE]})
    assert _ask(cube, "POST", "pacsfiles/", {**REGISTRATION, "StudyDate": "2024-01-03"})[0] == 201


def test_duplicates_are_let_through_over_a_restart_and_healing(cube: CubeProcess) -> None:
    cube.let_duplicates_through()
    assert _register(cube) == 201
    cube.control.heal()
    cube.kill()
    cube.start()
    assert _register(cube) == 201
    assert cube.control.counts() == cube.control.created() == {PATH: 2}
    cube.refuse_duplicates()
    assert _register(cube) == 400
    assert cube.control.repeated() == {PATH: 1}
