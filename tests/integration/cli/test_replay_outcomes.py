"""`dlq replay` with a real registrar and the stand-in CUBE: was the replayed message really registered?

One registrar serves the module; each test leaves its dead letters to nobody else.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from lapidicom.cli import replay_plan as headers
from lapidicom.common.broker import Envelope
from lapidicom.common.messages import SeriesReceived
from lapidicom.common.topology import DEAD_LETTER_EXCHANGE, DEAD_LETTER_QUEUE, WORK_QUEUE
from lapidicom.registrar.consumer import headers as told
from tests.support.command import Ended, in_process, lapidicom
from tests.support.cube.process import CubeProcess
from tests.support.dead_letters import bury, dead_letter
from tests.support.polling import eventually
from tests.support.queues import look, take_all
from tests.support.registrar.process import RegistrarProcess
from tests.support.stored import instance_stored, store

Settings = dict[str, str]

TO_REGISTER = "SERVICES/PACS"


@pytest.fixture(scope="module")
def cube(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CubeProcess]:
    root = tmp_path_factory.mktemp("volume")
    (root / "SERVICES/PACS").mkdir(parents=True)
    with CubeProcess(root) as process:
        yield process


@pytest.fixture(scope="module")
def settings(
    amqp_url_of_module: str, cube: CubeProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    log = tmp_path_factory.mktemp("registrar") / "log"
    # A retry would let a dead letter wait for a second.
    with RegistrarProcess(amqp_url_of_module, cube, log, CHRIS_HTTP_RETRIES="0"):
        yield {
            "AMQP_URL": amqp_url_of_module,
            "CHRIS_URL": cube.url,
            "CHRIS_USERNAME": cube.username,
            "CHRIS_PASSWORD": cube.password,
        }


@pytest.fixture(autouse=True)
def nothing_left(settings: Settings, cube: CubeProcess) -> Iterator[None]:
    yield
    cube.control.heal()
    take_all(settings["AMQP_URL"], DEAD_LETTER_QUEUE)


def replay(settings: Settings, *options: str) -> Ended:
    return in_process("dlq", "replay", *options, "--json", **settings)


def missing(first: int, last: int) -> list[Envelope]:
    """Dead letters whose files are missing."""
    return [dead_letter(number, "file-missing") for number in range(first, last + 1)]


def put_there(cube: CubeProcess, first: int, last: int) -> set[str]:
    return {store(cube.root, instance_stored(number)).path for number in range(first, last + 1)}


def dead(settings: Settings, count: int) -> list[Any]:
    url = settings["AMQP_URL"]
    eventually(lambda: look(url, DEAD_LETTER_QUEUE).ready == count, 20, every=0.1, what="dead letters")
    return take_all(url, DEAD_LETTER_QUEUE)


def test_a_mended_cause_and_a_replay_with_a_wait_end_in_registrations(
    settings: Settings, cube: CubeProcess
) -> None:
    bury(settings["AMQP_URL"], missing(100, 119))
    paths = put_there(cube, 100, 119)
    ended = lapidicom("dlq", "replay", "--reason", "file-missing", "--wait", LOG_FORMAT="json", **settings)
    assert ended.status == 0, ended.err
    assert "20 replayed" in ended.out
    assert "registered        20" in ended.out
    assert '"event": "operator_act"' in ended.err
    assert paths <= cube.control.paths()
    assert {cube.control.counts()[path] for path in paths} == {1}


def test_what_fails_again_comes_back_with_the_replays_id_and_counts_on(
    settings: Settings, cube: CubeProcess
) -> None:
    put_there(cube, 200, 200)
    bury(settings["AMQP_URL"], missing(200, 202))
    first = replay(settings, "--all", "--wait")
    assert first.status == 1
    assert (first.document["registered"], first.document["returned"]) == (1, {"file-missing": 2})
    second = replay(settings, "--where", f"{headers.REPLAY}={first.document['replay']}", "--wait")
    assert (second.status, second.document["sent"]) == (1, 2)
    one, other = dead(settings, 2)
    for message in (one, other):
        assert message.headers[headers.REPLAY] == second.document["replay"]
        assert message.headers[headers.REPLAYS] == 2
        assert message.headers[headers.FORMER_ATTEMPTS] == 2
        assert message.headers[headers.FORMER_REASON] == "file-missing"
        assert message.headers[told.ATTEMPTS] == 1
        assert message.headers[told.REASON] == "file-missing"


def test_a_canary_that_fails_keeps_the_rest_where_it_is(settings: Settings) -> None:
    bury(settings["AMQP_URL"], missing(300, 304))
    ended = replay(settings, "--all", "--canary", "2")
    assert ended.status == 1
    assert ended.document["canary_failed"]
    assert (ended.document["sent"], ended.document["returned"]) == (2, {"file-missing": 2})
    came_back = [headers.REPLAY in message.headers for message in dead(settings, 5)]
    assert sorted(came_back) == [False] * 3 + [True] * 2  # the order of what returns is RabbitMQ's


def test_a_canary_that_is_registered_lets_the_rest_follow(settings: Settings, cube: CubeProcess) -> None:
    bury(settings["AMQP_URL"], missing(400, 404))
    paths = put_there(cube, 400, 404)
    ended = replay(settings, "--all", "--canary", "2", "--wait")
    assert ended.status == 0
    assert (ended.document["sent"], ended.document["registered"]) == (5, 5)
    assert paths <= cube.control.paths()


def test_a_replay_stops_when_its_messages_come_back(settings: Settings) -> None:
    bury(settings["AMQP_URL"], missing(500, 599))
    ended = replay(settings, "--all", "--rate", "15")
    assert ended.status == 1
    assert ended.document["stopped"]
    assert ended.document["sent"] < 100
    assert ended.document["returned"]["file-missing"] >= 10
    dead(settings, 100)


def test_a_replay_that_shall_keep_going_sends_all(settings: Settings) -> None:
    bury(settings["AMQP_URL"], missing(600, 639))
    ended = replay(settings, "--all", "--rate", "40", "--keep-going")
    assert (ended.document["sent"], ended.document["stopped"]) == (40, False)
    dead(settings, 40)


def test_a_wait_that_ends_too_early_says_how_many_wait_still(settings: Settings, cube: CubeProcess) -> None:
    put_there(cube, 700, 700)
    bury(settings["AMQP_URL"], missing(700, 700))
    cube.control.fail(503, count=None, path_contains=TO_REGISTER)
    ended = replay(settings, "--all", "--wait", "--wait-seconds", "0.5")
    assert (ended.status, ended.document["waiting"], ended.document["registered"]) == (1, 1, 0)


def test_a_message_that_registers_nothing_is_not_waited_for(settings: Settings) -> None:
    series = SeriesReceived(
        **instance_stored().model_dump(include=set(SeriesReceived.model_fields)),
        folder="SERVICES/PACS/ORTHANC/p/s/r",
        received=1,
        refused=0,
        ok=True,
        ended_at=instance_stored().received_at,
    )
    body = series.model_dump_json().encode()
    bury(
        settings["AMQP_URL"],
        [Envelope(DEAD_LETTER_EXCHANGE, WORK_QUEUE, series.TYPE, series.VERSION, "life.800", body)],
    )
    ended = in_process("dlq", "replay", "--all", "--wait", **settings)
    assert ended.status == 0
    assert "register nothing  1" in ended.out


def test_without_cube_nothing_is_begun(settings: Settings) -> None:
    bury(settings["AMQP_URL"], missing(900, 900))
    away = settings | {"CHRIS_URL": "http://127.0.0.1:1/api/v1/"}
    ended = in_process("dlq", "replay", "--all", "--wait", **away)
    assert ended.status == 2
    assert "127.0.0.1:1" in ended.err
    assert len(dead(settings, 1)) == 1
