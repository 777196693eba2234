"""CUBE is away, in every way that it can be: no attempt is spent, nothing is lost, work goes on by itself."""

from collections.abc import Callable
from typing import Any

import pytest

from lapidicom.common.topology import DEAD_LETTER_QUEUE
from tests.support.cube.process import CubeProcess
from tests.support.polling import eventually
from tests.support.queues import look

Start = Callable[..., Any]
Send = Callable[..., set[str]]

REGISTRATION = "SERVICES/PACS"


# What was asked for when CUBE goes may be registered behind the registrar's back: that excuses a repetition.


def down(cube: CubeProcess) -> None:
    cube.refuse_duplicates()
    cube.stop()


def database_down(cube: CubeProcess) -> None:
    cube.control.database_down()


def hanging(cube: CubeProcess) -> None:
    cube.refuse_duplicates()
    cube.control.hang()


def frozen(cube: CubeProcess) -> None:
    cube.refuse_duplicates()
    cube.pause()


def refusing(cube: CubeProcess) -> None:
    cube.control.refuse()


def bad_gateway(cube: CubeProcess) -> None:
    cube.control.fail(502, "<html>", content_type="text/html", method=None)


def rate_limited(cube: CubeProcess) -> None:
    cube.control.fail(429, path_contains=REGISTRATION)


def redirecting(cube: CubeProcess) -> None:
    cube.control.fail(302, "", headers={"Location": "/login"}, content_type="text/html", method=None)


def back(cube: CubeProcess) -> None:
    cube.resume()
    cube.start()
    cube.control.heal()


@pytest.mark.parametrize(
    "away", [down, database_down, hanging, frozen, refusing, bad_gateway, rate_limited, redirecting]
)
def test_an_outage_spends_no_attempt_and_work_goes_on_when_it_ends(
    away: Callable[[CubeProcess], None],
    start_registrar: Start,
    send: Send,
    cube: CubeProcess,
    amqp_url: str,
) -> None:
    registrar = start_registrar(CHRIS_HTTP_RETRIES="0")
    away(cube)
    paths = send(1, 12)
    eventually(lambda: registrar.events("cube_outage"), 20, what="the outage is noticed")
    eventually(lambda: registrar.reasons() != [], what="not ready")
    eventually(lambda: registrar.events("message_parked"), what="what was in hand is parked")
    back(cube)
    eventually(lambda: cube.control.paths() == paths, 25, what="all registered")
    eventually(lambda: registrar.reasons() == [], what="ready again")
    assert registrar.stop() == 0
    assert registrar.events("registration_retried") == []
    assert look(amqp_url, DEAD_LETTER_QUEUE).ready == 0
    assert set(cube.control.counts().values()) == {1}


def test_a_registrar_that_starts_in_an_outage_waits_for_its_end(
    start_registrar: Start, send: Send, cube: CubeProcess
) -> None:
    cube.stop()
    paths = send(1, 5)
    registrar = start_registrar(ready=False)
    eventually(lambda: any("connection refused" in reason for reason in registrar.reasons()))
    cube.start()
    eventually(lambda: cube.control.paths() == paths, 15)


def test_a_refused_token_is_renewed(start_registrar: Start, send: Send, cube: CubeProcess) -> None:
    registrar = start_registrar()
    first = send(1, 5)
    eventually(lambda: cube.control.paths() == first)
    cube.control.invalidate_tokens()
    second = send(6, 30)
    eventually(lambda: cube.control.paths() == first | second, 15)
    assert registrar.events("cube_outage") == []
    assert registrar.events("message_parked") == []
    assert cube.control.answers()["POST /api/v1/auth-token/ 200"] == 2


def test_wrong_credentials_are_an_outage_and_no_fault_of_the_messages(
    start_registrar: Start, send: Send, amqp_url: str
) -> None:
    send(1, 3)
    registrar = start_registrar(ready=False, CHRIS_PASSWORD="wrong")
    eventually(lambda: any("CHRIS_USERNAME and CHRIS_PASSWORD" in reason for reason in registrar.reasons()))
    assert look(amqp_url, DEAD_LETTER_QUEUE).ready == 0


def test_a_cube_of_the_other_generation_is_not_ready_and_nothing_is_consumed(
    start_registrar: Start, send: Send, cube: CubeProcess
) -> None:
    root = '{"collection_links":{"pacsfiles":"http://c/api/v1/pacs/files/","pacsseries":"http://c/x/"}}'
    cube.control.fail(200, root, method="GET")
    paths = send(1, 3)
    registrar = start_registrar(ready=False, REGISTRATION_UNIT="instance")
    eventually(lambda: any("REGISTRATION_UNIT=instance" in reason for reason in registrar.reasons()))
    assert not registrar.events("consuming")
    cube.control.heal()
    eventually(lambda: cube.control.paths() == paths, 15)


def test_a_file_that_cube_does_not_see_yet_is_parked_until_it_does(
    start_registrar: Start, send: Send, cube: CubeProcess, amqp_url: str
) -> None:
    registrar = start_registrar(CHRIS_HTTP_RETRIES="0")
    cube.control.volume_gone()
    paths = send(1, 5)
    eventually(lambda: len(registrar.events("message_parked")) >= 5)
    assert {line["reason"] for line in registrar.events("message_parked")} == {"not_yet_visible"}
    assert registrar.events("cube_outage") == []
    cube.control.heal()
    eventually(lambda: cube.control.paths() == paths, 15)
    assert look(amqp_url, DEAD_LETTER_QUEUE).ready == 0
