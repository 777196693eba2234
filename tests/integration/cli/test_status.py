"""`lapidicom status` and `doctor` against receiver, RabbitMQ, registrar and the stand-in CUBE."""

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


class Seen:
    """What `status` saw."""

    def __init__(self, ended: Ended) -> None:
        self.exit_status, self.checks, self.out = ended.status, ended.document["checks"], ended.out
        self.of = {(one["area"], one["name"]): one for one in self.checks}

    def area(self, area: str) -> list[tuple[str, str]]:
        """Name and result of each check of an area."""
        return [(one["name"], one["result"]) for one in self.checks if one["area"] == area]

    @property
    def failed(self) -> dict[tuple[str, str], dict[str, Any]]:
        """All that is not well."""
        return {key: one for key, one in self.of.items() if one["result"] in {"degraded", "fail"}}


def status(settings: dict[str, str], **changes: str) -> Seen:
    return Seen(in_process("status", "--json", **(settings | changes)))


def results(ended: Ended) -> dict[tuple[str, str], str]:
    return {(check["area"], check["name"]): check["result"] for check in ended.document["checks"]}


def test_a_system_that_works_is_healthy(settings: dict[str, str]) -> None:
    def is_healthy() -> Seen | None:
        seen = status(settings)
        return seen if seen.exit_status == 0 and seen.of["journals", "relayed"]["count"] == 0 else None

    seen = eventually(is_healthy, 30, what="healthy")
    assert seen.of["work queue", "consumers"]["count"] == 1
    assert seen.of["dead letters", "messages"]["count"] == 0
    steps = ["reachable", "generation", "login", "database", "right to register", "storage"]
    assert seen.area("CUBE") == [(step, "pass") for step in steps]
    assert seen.of["journals", "relayed"]["seen"] == "1 under way, 0 finished; all relayed"
    unseen = {key: one["seen"] for key, one in seen.of.items() if one["result"] != "pass"}
    assert set(unseen) == {("RabbitMQ", "alarms"), ("work queue", "unacknowledged"), ("delayed", "held back")}
    assert set(unseen.values()) == {"AMQP_MANAGEMENT_URL is not set"}


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
    seen = status(settings)
    assert seen.exit_status == 1
    letters_seen = seen.of["dead letters", "messages"]
    assert letters_seen["count"] == 30
    assert letters_seen["seen"].startswith("30 dead letters: 20 refused: StudyDate (oldest ")
    assert "; 10 refused: path (oldest " in letters_seen["seen"]
    taken = take_all(url, DEAD_LETTER_QUEUE)
    assert [message.headers["lapidicom-id"] for message in taken] == [one.lapidicom_id for one in letters]


def test_what_is_wrong_with_the_way_to_cube_is_named_and_nothing_else(settings: dict[str, str]) -> None:
    seen = status(settings, CHRIS_PASSWORD="wrong")
    assert seen.exit_status == 2
    finding = seen.failed["CUBE", "login"]
    assert "CUBE knows no such user and password" in finding["seen"]
    assert "database" not in f"{finding['seen']} {finding['remedy']}"


def test_a_cube_that_looks_at_another_storage_is_named(path: WholePath, settings: dict[str, str]) -> None:
    path.cube.control.volume_gone()
    try:
        seen = status(settings)
        checks = in_process("doctor", "--json", **settings)
    finally:
        path.cube.control.heal()
    assert seen.exit_status == 2
    assert "it looks at another storage" in seen.failed["CUBE", "storage"]["seen"]
    assert [name for name, result in results(checks).items() if result == "fail"] == [("CUBE", "storage")]


def test_a_database_that_is_stopped_is_named(path: WholePath, settings: dict[str, str]) -> None:
    path.cube.control.database_down()
    try:
        seen = status(settings)
    finally:
        path.cube.control.heal()
    assert seen.exit_status == 2
    (finding,) = [one for (area, _), one in seen.failed.items() if area == "CUBE"]
    assert "database" in finding["remedy"]
    assert "PASSWORD" not in finding["remedy"]


def test_a_service_that_does_not_answer_or_is_another_one_is_told(
    path: WholePath, settings: dict[str, str]
) -> None:
    seen = status(settings, CHRIS_RECEIVER_URL=f"{path.cube.url.partition('api/')[0]},http://127.0.0.1:1")
    assert seen.exit_status == 2
    assert [one["seen"].partition(": ")[2] for one in seen.failed.values() if one["area"] == "receivers"] == [
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
        seen = status(settings)
    finally:
        path.cube.resume()
        path.cube.start()
    assert seen.exit_status == 2
    assert seen.area("CUBE") == [("reachable", "fail")]


def test_a_broker_that_is_away_is_down_and_the_rest_is_told_all_the_same(settings: dict[str, str]) -> None:
    seen = status(settings, AMQP_URL="amqp://user:geheim@127.0.0.1:1/v")
    assert seen.exit_status == 2
    assert set(seen.failed) == {("RabbitMQ", "reachable")}
    assert "geheim" not in seen.out
    assert seen.of["work queue", "visible"]["seen"] == "RabbitMQ is not reachable"
    assert seen.of["CUBE", "storage"]["result"] == seen.of["volume", "mounted"]["result"] == "pass"


def test_what_is_not_set_is_not_visible(settings: dict[str, str]) -> None:
    seen = status({"AMQP_URL": settings["AMQP_URL"], "CHRIS_RETRY_DELAYS": "1", "CHRIS_PARK_DELAY": "1"})
    assert seen.exit_status == 0
    unset = {area: one["seen"] for (area, _), one in seen.of.items() if "is not set" in one["seen"]}
    assert unset["volume"] == unset["journals"] == "CHRIS_FILES_ROOT is not set"
    assert seen.area("CUBE") == [("reachable", "not visible")]


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
    seen = status(settings, CHRIS_FILES_ROOT=str(tmp_path))
    assert seen.exit_status == 1
    assert seen.of["CUBE", "storage"]["result"] == "not visible"
    assert "not mounted" in seen.of["journals", "relayed"]["seen"]
    assert {area for area, _ in seen.failed} == {"volume"}


def test_what_a_receiver_stored_while_rabbitmq_is_away_from_it_is_told_as_not_relayed(
    path: WholePath, settings: dict[str, str], tmp_path: Path
) -> None:
    nowhere = "amqp://127.0.0.1:1/v"
    with path.receiver(amqp_url=nowhere, CHRIS_JOURNAL_TAKEOVER="600") as receiver:
        assert pynetdicom_store(receiver.scp_port, CALLING, [instance(2)], tmp_path) == [0]
        seen = status(settings)
    assert "not relayed, oldest" in seen.of["journals", "relayed"]["seen"]
    assert seen.of["journals", "relayed"]["count"] > 0
    assert seen.exit_status == 0  # it waits for less than a minute
