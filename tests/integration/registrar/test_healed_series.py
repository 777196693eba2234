"""Instances that come when CUBE 6 has their series: from the dead letter to a series that is whole."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lapidicom.cli.reconcile.message import of_file
from lapidicom.common.journal.format import FOLDERS, FORMAT
from lapidicom.common.open_series import healing_mark
from lapidicom.common.topology import DEAD_LETTER_QUEUE, WORK_QUEUE, Topology, delay_queue
from tests.support.command import Ended, in_process
from tests.support.cube.process import CubeProcess
from tests.support.instances import Instance, instance
from tests.support.polling import eventually
from tests.support.query_scps import match, query_scp
from tests.support.queues import envelope, look, publish

PACS = "LATEPACS"


@pytest.fixture
def cube(tmp_path: Path) -> Iterator[CubeProcess]:
    root = tmp_path / "files"
    (root / "SERVICES/PACS").mkdir(parents=True)
    with CubeProcess(root, generation=6) as process:
        yield process


def test_late_instances_are_healed_and_their_letter_ends_as_a_success(
    start_registrar: Callable[..., Any], amqp_url: str, cube: CubeProcess, declared: Topology
) -> None:
    series = instance(1)
    uid = series.tags.SeriesInstanceUID or ""
    folder = series.path(PACS).rpartition("/")[0]

    def place(one: Instance) -> str:
        file = cube.root / one.path(PACS)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(one.file)
        return one.path(PACS)

    def receive(*numbers: int) -> None:
        for number in numbers:
            message = of_file(cube.root, place(instance(number)))
            publish(amqp_url, declared, [envelope(message, f"life.{number}")])

    def lapidicom(*arguments: str, **settings: str) -> Ended:
        return in_process(
            *arguments,
            AMQP_URL=amqp_url,
            CHRIS_URL=cube.url,
            CHRIS_USERNAME=cube.username,
            CHRIS_PASSWORD=cube.password,
            CHRIS_FILES_ROOT=str(cube.root),
            CHRIS_RETRY_DELAYS="1",
            CHRIS_PARK_DELAY="1",
            **settings,
        )

    def reconciled() -> dict[str, Any]:
        given = ("--yes", "--older-than", "0s", "--wait", "30", "--rate", "1000/s", "--json")
        return dict(lapidicom("reconcile", *given).document)

    def registered() -> list[tuple[str, int]]:
        return [(one["path"], one["ndicom"]) for one in cube.control.registrations()]

    registrar = start_registrar(SERIES_SETTLE_SECONDS="1")
    receive(1, 2, 3)
    eventually(lambda: registered() == [(folder, 3)], 30, what="the series is registered")
    place(instance(4))
    (cube.root / ".lapidicom" / FOLDERS[FORMAT]).mkdir(parents=True)
    told = reconciled()
    assert told["enqueued"] == 0
    assert [one["why"] for one in told["not_in_cube"]["late"]["files"]] == [f"of series {uid}"]
    with query_scp(lambda _: [(0xFF00, match(uid, 5)), (0, None)]) as port:
        address = f"{PACS}=127.0.0.1:{port}"
        traced = lapidicom("trace", uid, "--json", CHRIS_PACS_ADDRESS=address).document
    assert traced["counts"] == {"stored": 1, "registered": 3}
    (counts,) = traced["third_count"]
    assert (counts["pacs"], counts["volume"], counts["cube"]) == (5, 4, 3)
    assert lapidicom("trace", instance(1).sop_instance).status == 0

    receive(4)
    eventually(lambda: look(amqp_url, DEAD_LETTER_QUEUE).ready == 1, 30, what="a dead letter")
    (group,) = lapidicom("dlq", "list", "--group-by", "reason", "--json").document["groups"]
    assert (group["reasons"], group["count"]) == ({"late-instances": 1}, 1)
    assert "lapidicom heal" in group["remedy"]

    assert (lapidicom("heal", uid).status, registered()) == (1, [(folder, 3)])
    assert lapidicom("heal", uid, "--fix", "--yes").status == 0
    assert registered() == [(folder, 4)]
    assert not (cube.root / ".lapidicom" / healing_mark(PACS, uid)).exists()
    asked = cube.control.repeated()[folder]
    replayed = lapidicom("dlq", "replay", "--all", "--wait", "--json").document
    assert (replayed["registered"], replayed["waiting"], replayed["register_nothing"]) == (1, 0, 0)
    eventually(lambda: cube.control.repeated()[folder] > asked, 30, what="CUBE is asked about the letter")
    other = place(instance(5, series=2)).rpartition("/")[0]
    assert reconciled()["enqueued"] == 1
    eventually(lambda: (other, 1) in registered(), 30, what="the series that nobody told of is registered")
    assert registrar.stop() == 0
    left = {queue: look(amqp_url, queue).ready for queue in (DEAD_LETTER_QUEUE, WORK_QUEUE, delay_queue(1))}
    assert left == dict.fromkeys(left, 0)
    assert sorted(registered()) == sorted([(folder, 4), (other, 1)])
