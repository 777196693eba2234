"""`lapidicom status` and `doctor` against receiver, RabbitMQ, registrar and the stand-in CUBE."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lapidicom.common.topology import DEAD_LETTER_QUEUE, WORK_QUEUE
from tests.support.command import Ended, in_process, surroundings
from tests.support.cube.accounts import USERS
from tests.support.dead_letters import bury, dead_letter
from tests.support.instances import instance
from tests.support.polling import eventually
from tests.support.queues import look, take_all
from tests.support.scus import pynetdicom_store
from tests.support.whole_path import WholePath

CALLING = "STATUS"


@pytest.fixture(scope="module")
def settings(path: WholePath, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What the command is given; everything runs, and one instance is registered."""
    with path.receiver() as receiver:
        folder = tmp_path_factory.mktemp("scu")
        assert pynetdicom_store(receiver.scp_port, CALLING, [instance(1)], folder) == [0]
        eventually(lambda: len(path.cube.control.paths()) == 1, 30, what="registered")
        stored = path.files_root / instance(1).path(CALLING)
        os.utime(stored, (stored.stat().st_atime, stored.stat().st_mtime - 600))
        yield path.command_settings | {
            "CHRIS_MIN_FREE_SPACE": "1",
            "CHRIS_RECEIVER_URL": f"http://127.0.0.1:{receiver.health_port}",
            "CHRIS_REGISTRAR_URL": f"http://127.0.0.1:{path.registrars[0].health_port}",
        }


def status(settings: dict[str, str], **changes: str) -> tuple[int, dict[str, Any]]:
    ended = in_process("status", "--json", **(settings | changes))
    return ended.status, ended.document


def results(ended: Ended) -> dict[tuple[str, str], str]:
    return {(check["area"], check["name"]): check["result"] for check in ended.document["checks"]}


def test_a_system_that_works_is_healthy(settings: dict[str, str]) -> None:
    def is_healthy() -> dict[str, Any] | None:
        exit_status, document = status(settings)
        return document if exit_status == 0 and document["journals"]["oldest_unrelayed"] is None else None

    document = eventually(is_healthy, 30, what="healthy")
    assert document["status"] == "healthy"
    assert document["work"]["consumers"] == 1
    assert document["dead_letters"] == {"missing": False, "count": 0, "reasons": []}
    steps = ["reachable", "generation", "login", "database", "right to register", "storage"]
    assert [(one["name"], one["result"]) for one in document["cube"]] == [(step, "pass") for step in steps]
    of_others = [one for key in ("receivers", "registrars", "volume", "broker") for one in document[key]]
    assert [one["name"] for one in of_others if one["result"] != "pass"] == ["alarms"]
    assert (document["journals"]["under_way"], document["journals"]["finished"]) == (1, 0)
    unset = {"reason": "AMQP_MANAGEMENT_URL is not set"}
    assert document["work"]["unacknowledged"] == document["delayed"]["held_back"] == unset


def test_the_screen_that_is_piped_has_a_row_for_each_area(settings: dict[str, str]) -> None:
    ended = in_process("status", **settings)
    assert ended.status == 0
    areas = [line.split("  ")[0] for line in ended.lines[2:11]]
    assert areas[:5] == ["receivers", "volume", "journals", "RabbitMQ", "work queue"]
    assert areas[5:] == ["delayed", "dead letters", "registrars", "CUBE"]
    assert "\x1b" not in ended.out


def test_dead_letters_are_told_by_reason_and_looking_leaves_them_as_they_are(
    settings: dict[str, str],
) -> None:
    url = settings["AMQP_URL"]
    letters = [
        dead_letter(number, f"refused: {'StudyDate' if number % 3 else 'path'}") for number in range(30)
    ]
    bury(url, letters)
    exit_status, document = status(settings)
    assert exit_status == 1
    assert [(one["reason"], one["count"]) for one in document["dead_letters"]["reasons"]] == [
        ("refused: StudyDate", 20),
        ("refused: path", 10),
    ]
    assert document["dead_letters"]["count"] == 30
    taken = take_all(url, DEAD_LETTER_QUEUE)
    assert [message.headers["lapidicom-id"] for message in taken] == [one.lapidicom_id for one in letters]


def test_what_is_wrong_with_the_way_to_cube_is_named_and_nothing_else(settings: dict[str, str]) -> None:
    exit_status, document = status(settings, CHRIS_PASSWORD="wrong")
    assert exit_status == 2
    (finding,) = [one for one in document["findings"] if one["area"] == "CUBE"]
    assert "CUBE knows no such user and password" in finding["seen"]
    assert "database" not in f"{finding['seen']} {finding['remedy']}"


def test_a_cube_that_looks_at_another_storage_is_named(path: WholePath, settings: dict[str, str]) -> None:
    path.cube.control.volume_gone()
    try:
        exit_status, document = status(settings)
        checks = in_process("doctor", "--json", **settings)
    finally:
        path.cube.control.heal()
    assert exit_status == 2
    assert [one["name"] for one in document["cube"] if one["result"] == "fail"] == ["storage"]
    assert "it looks at another storage" in document["findings"][0]["seen"]
    assert [name for name, result in results(checks).items() if result == "fail"] == [("CUBE", "storage")]


def test_a_database_that_is_stopped_is_named(path: WholePath, settings: dict[str, str]) -> None:
    path.cube.control.database_down()
    try:
        exit_status, document = status(settings)
    finally:
        path.cube.control.heal()
    assert exit_status == 2
    (finding,) = [one for one in document["findings"] if one["area"] == "CUBE"]
    assert "database" in finding["remedy"]
    assert "PASSWORD" not in finding["remedy"]


def test_a_service_that_does_not_answer_or_is_another_one_is_told(
    path: WholePath, settings: dict[str, str]
) -> None:
    exit_status, document = status(
        settings, CHRIS_RECEIVER_URL=f"{path.cube.url.partition('api/')[0]},http://127.0.0.1:1"
    )
    assert exit_status == 2
    assert [one["seen"].partition(": ")[2] for one in document["receivers"]] == [
        "what answers there is no service of lapidicom",
        "/readyz does not answer: 127.0.0.1:1: connection refused: nothing listens there",
    ]


@pytest.mark.parametrize("how", ["hang", "refuse connections"])
def test_a_cube_that_is_away_is_down_and_says_so(
    path: WholePath, settings: dict[str, str], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lapidicom.cli.cube_checks.READ_SECONDS", 0.5)
    if how == "hang":
        path.cube.pause()
    else:
        path.cube.stop()
    try:
        exit_status, document = status(settings)
    finally:
        path.cube.resume()
        path.cube.start()
    assert exit_status == 2
    assert [one["result"] for one in document["cube"]] == ["fail"]
    assert next(one["area"] for one in document["findings"] if one["result"] == "fail") == "CUBE"


def test_a_broker_that_is_away_is_down_and_the_rest_is_told_all_the_same(settings: dict[str, str]) -> None:
    exit_status, document = status(settings, AMQP_URL="amqp://user:geheim@127.0.0.1:1/v")
    assert exit_status == 2
    assert [one["result"] for one in document["broker"]] == ["fail"]
    assert "geheim" not in json.dumps(document)
    assert document["work"] == {"reason": "RabbitMQ is not reachable"}
    assert document["cube"][-1]["result"] == "pass"
    assert document["volume"][0]["result"] == "pass"


def test_what_is_not_set_is_not_visible(settings: dict[str, str]) -> None:
    exit_status, document = status(
        {"AMQP_URL": settings["AMQP_URL"], "CHRIS_RETRY_DELAYS": "1", "CHRIS_PARK_DELAY": "1"}
    )
    assert exit_status == 0
    assert document["volume"] == document["journals"] == {"reason": "CHRIS_FILES_ROOT is not set"}
    assert set(document["cube"]) == {"reason"}


def test_a_watch_at_a_terminal_refreshes_in_place_and_gives_the_screen_back(settings: dict[str, str]) -> None:
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "lapidicom.cli", "status", "--watch", "--every", "0.5"],
        env=surroundings(**settings, TERM="xterm", COLUMNS="120"),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    try:
        shown = b""
        while shown.count(b"lapidicom is healthy") < 2:
            shown += os.read(master, 65536)
        process.send_signal(signal.SIGINT)
        while b"\x1b[?1049l" not in shown:
            shown += os.read(master, 65536)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)
    assert b"\x1b[?1049h" in shown
    assert b"Traceback" not in shown


def test_the_doctor_finds_everything_well_and_leaves_no_trace(
    path: WholePath, settings: dict[str, str]
) -> None:
    registered = path.cube.control.counts()
    before = sorted(one.name for one in path.spool.iterdir())
    ended = in_process("doctor", "--json", **settings)
    assert ended.status == 0, ended.out
    assert ended.document["passed"] is True
    document = results(ended)
    assert document["CUBE", "right to register"] == "pass"
    assert document["volume", "atomic rename"] == "pass"
    assert {name for name, result in document.items() if result == "not visible"} == {
        ("RabbitMQ", "feature flags"),
        ("RabbitMQ", "alarms"),
        ("RabbitMQ", "bindings"),
        ("RabbitMQ", "policies"),
    }
    assert path.cube.control.counts() == registered
    assert sorted(one.name for one in path.spool.iterdir()) == before
    assert look(settings["AMQP_URL"], WORK_QUEUE).ready == 0


@pytest.mark.parametrize(
    ("changes", "failing", "remedy"),
    [
        (
            {"CHRIS_USERNAME": "somebody", "CHRIS_PASSWORD": USERS["somebody"]},
            ("CUBE", "right to register"),
            "set CHRIS_USERNAME=chris",
        ),
        ({"CHRIS_PASSWORD": "wrong"}, ("CUBE", "login"), "check CHRIS_USERNAME and CHRIS_PASSWORD"),
        ({"CHRIS_MIN_FREE_SPACE": "900TiB"}, ("volume", "free space"), "free or add space"),
        ({"CHRIS_RETRY_DELAYS": "9"}, ("RabbitMQ", "exchanges and queues"), "lapidicom doctor --fix"),
        ({"CHRIS_SCP_AETT": "X"}, ("settings", "names of CHRIS_* variables"), "is CHRIS_SCP_AET meant?"),
        ({"AMQP_URL": "amqp://127.0.0.1:1/v"}, ("RabbitMQ", "reachable"), "check AMQP_URL"),
    ],
)
def test_each_fault_fails_its_check_alone_with_its_remedy(
    settings: dict[str, str], changes: dict[str, str], failing: tuple[str, str], remedy: str
) -> None:
    ended = in_process("doctor", "--json", **(settings | changes))
    assert ended.status == 1
    assert [name for name, result in results(ended).items() if result == "fail"] == [failing]
    (failed,) = [check for check in ended.document["checks"] if check["result"] == "fail"]
    assert remedy in failed["remedy"]


def test_a_volume_that_is_not_mounted_is_told(settings: dict[str, str], tmp_path: Path) -> None:
    exit_status, document = status(settings, CHRIS_FILES_ROOT=str(tmp_path))
    assert exit_status == 1
    assert [one["name"] for one in document["cube"] if one["result"] == "not visible"] == ["storage"]
    assert "not mounted" in document["journals"]["reason"]
    assert {one["area"] for one in document["findings"]} == {"volume"}


def test_what_a_receiver_stored_while_rabbitmq_is_away_from_it_is_told_as_not_relayed(
    path: WholePath, settings: dict[str, str], tmp_path: Path
) -> None:
    nowhere = "amqp://127.0.0.1:1/v"
    with path.receiver(amqp_url=nowhere, CHRIS_JOURNAL_TAKEOVER="600") as receiver:
        assert pynetdicom_store(receiver.scp_port, CALLING, [instance(2)], tmp_path) == [0]
        _, document = status(settings)
    assert document["journals"]["oldest_unrelayed"] is not None
    assert document["journals"]["unrelayed_bytes"] > 0
    assert document["status"] == "healthy"  # it waits for less than a minute
