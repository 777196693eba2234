"""Registrars, real RabbitMQ and a stand-in CUBE 6: series are registered once they have settled."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lapidicom.common.messages import InstanceStored, SeriesReceived
from lapidicom.common.open_series import markers_folder
from lapidicom.common.topology import DEAD_LETTER_QUEUE, WORK_QUEUE, topology
from tests.support.cube.process import CubeProcess
from tests.support.polling import eventually
from tests.support.queues import envelope, look, publish
from tests.support.registrar.__main__ import Options
from tests.support.registrar.process import RegistrarProcess
from tests.support.seeds import is_large
from tests.support.stored import instance_stored, store

INSTANCES, OTHERS = (2000, 500) if is_large() else (60, 12)
ASSOCIATIONS = 4
POST = "POST /api/v1/pacs/series/"


@pytest.fixture
def cube_6(tmp_path: Path) -> Iterator[CubeProcess]:
    root = tmp_path / "files"
    (root / "SERVICES/PACS").mkdir(parents=True)
    with CubeProcess(root, generation=6, unique=False) as process:
        yield process


def instance(series: int, number: int, association: int = 0) -> InstanceStored:
    """An instance of a series; every fourth series has a patient of its own."""
    patient = f"p{series // 4}"
    folder = f"SERVICES/PACS/ORTHANC/{patient}-DOE_JANE-/MR-a-20240102/{series:05}-T1-0123abc"
    uid = f"1.2.826.0.1.{series}.{number}"
    return instance_stored(
        path=f"{folder}/{number:04}-{uid}.dcm",
        PatientID=patient,
        SeriesInstanceUID=f"1.2.3.{series}",
        SOPInstanceUID=uid,
        association_id=f"a{series}.{association}",
        received_at=datetime.now(UTC),
    )


def received(root: Path, last: InstanceStored) -> SeriesReceived:
    """The message of an association that has ended with this instance."""
    folder = last.path.rpartition("/")[0]
    return SeriesReceived(
        **last.model_dump(include=set(SeriesReceived.model_fields) - {"files"}),
        folder=folder,
        received=1,
        refused=0,
        ok=True,
        ended_at=datetime.now(UTC),
        files=len(list((root / folder).iterdir())),
    )


class Sender:
    """Does what receivers do: stores, marks, publishes."""

    def __init__(self, root: Path, amqp_url: str) -> None:
        self._root = root
        self._amqp_url = amqp_url
        self._declared = topology([1], 1)
        self._sent = 0

    def publish(self, *messages: Any) -> None:
        """Publish messages."""
        envelopes = [envelope(message, f"life.{self._sent + n}") for n, message in enumerate(messages)]
        self._sent += len(messages)
        publish(self._amqp_url, self._declared, envelopes)

    def marker(self, one: InstanceStored) -> Path:
        """The marker of an association for a series."""
        folder = markers_folder(one.pacs_name, one.SeriesInstanceUID)
        return self._root / ".lapidicom" / folder / f"life.{one.association_id}"

    def send(self, instances: list[InstanceStored]) -> None:
        """Store instances and publish them, of associations that go on."""
        for one in instances:
            self.marker(one).parent.mkdir(parents=True, exist_ok=True)
            self.marker(one).touch()
            store(self._root, one)
        self.publish(*instances)

    def end(self, instances: list[InstanceStored]) -> None:
        """End the associations of these instances."""
        for one in instances:
            self.marker(one).unlink()
        self.publish(*(received(self._root, one) for one in instances))


def resident(process: RegistrarProcess) -> int:
    """Resident memory of a registrar, MiB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) // 1024


def test_many_series_settle_at_once_with_one_request_each(
    cube_6: CubeProcess, amqp_url: str, tmp_path: Path
) -> None:
    sender = Sender(cube_6.root, amqp_url)
    with ExitStack() as stack:
        settings = {"SERIES_SETTLE_SECONDS": "2", "CHRIS_RETRY_DELAYS": "1", "CHRIS_PARK_DELAY": "1"}
        registrar = RegistrarProcess(amqp_url, cube_6, tmp_path / "log", **settings)
        stack.enter_context(registrar)
        before = resident(registrar)
        big = [instance(0, number, number % ASSOCIATIONS) for number in range(INSTANCES)]
        others = [[instance(series, number) for number in range(4)] for series in range(1, OTHERS + 1)]
        share = len(others) // ASSOCIATIONS
        for part in range(ASSOCIATIONS):
            sender.send(big[part * len(big) // ASSOCIATIONS : (part + 1) * len(big) // ASSOCIATIONS])
            for of_one in others[part * share : (part + 1) * share]:
                sender.send(of_one)
        sender.end([of_one[-1] for of_one in others])
        small = {one[0].path.rpartition("/")[0] for one in others}
        eventually(lambda: cube_6.control.paths() == small, 120, what="all but the open series")
        sender.end(big[-ASSOCIATIONS:])
        eventually(lambda: len(cube_6.control.paths()) == OTHERS + 1, 60, what="the open series, too")
        eventually(lambda: look(amqp_url, WORK_QUEUE).ready == 0, 30)
        grown = resident(registrar) - before
    counts = {row["path"]: row["ndicom"] for row in cube_6.control.registrations()}
    assert counts.pop(big[0].path.rpartition("/")[0]) == INSTANCES
    assert set(counts.values()) == {4}
    answers = cube_6.control.answers()
    assert answers[f"{POST} 201"] == OTHERS + 1
    # Beside them only what looks whether the user may register: CUBE was never made to wait, nor asked twice.
    assert answers.get(f"{POST} 400", 0) <= 3
    assert not cube_6.control.repeated()
    assert look(amqp_url, DEAD_LETTER_QUEUE).ready == 0
    print(f"{OTHERS + 1} series: {grown} MiB more")
    assert grown < 24


QUICK = {"SERIES_SETTLE_SECONDS": "1", "CHRIS_RETRY_DELAYS": "1"}
KILLS = {
    "before its request": Options(kill_at=1),
    "behind CUBE's answer": Options(kill_at=1, answered=True),
    "before it is published": Options(kill_publish="before"),
    "behind its publish": Options(kill_publish="after"),
}


@pytest.mark.parametrize("when", KILLS if is_large() else ["behind CUBE's answer", "behind its publish"])
def test_a_registrar_that_is_killed_with_a_series_in_hand_loses_nothing(
    when: str, cube_6: CubeProcess, amqp_url: str, tmp_path: Path
) -> None:
    cube_6.refuse_duplicates()
    sender = Sender(cube_6.root, amqp_url)
    instances = [instance(1, number) for number in range(3)]
    sender.send(instances)
    sender.end(instances[-1:])
    doomed = RegistrarProcess(amqp_url, cube_6, tmp_path / "doomed", KILLS[when], **QUICK)
    doomed.start()
    assert doomed.wait() == -signal.SIGKILL
    with RegistrarProcess(amqp_url, cube_6, tmp_path / "log", **QUICK) as registrar:
        eventually(lambda: registrar.events("series_registered"), 30)
        eventually(lambda: look(amqp_url, WORK_QUEUE).ready == 0)
    (row,) = cube_6.control.registrations()
    assert (row["ndicom"], list(cube_6.control.created().values())) == (3, [1])
    assert look(amqp_url, DEAD_LETTER_QUEUE).ready == 0


def test_an_upgrade_of_cube_needs_no_restart_of_a_registrar(amqp_url: str, tmp_path: Path) -> None:
    root = tmp_path / "files"
    (root / "SERVICES/PACS").mkdir(parents=True)
    sender = Sender(root, amqp_url)
    instances = [instance(1, number) for number in range(3)]
    with CubeProcess(root) as cube_5:
        cube_5.control.volume_gone()
        registrar = RegistrarProcess(amqp_url, cube_5, tmp_path / "log", **QUICK)
        with registrar:
            sender.send(instances)
            sender.end(instances[-1:])
            eventually(lambda: len(registrar.events("message_parked")) >= 3, what="v5 does not see the files")
            eventually(lambda: registrar.events("series_received"), what="the series needs no registration")
            cube_5.stop()
            with CubeProcess(root, generation=6) as cube_6:
                cube_6.stop()
                cube_6.port = cube_5.port
                cube_6.start()
                eventually(lambda: cube_6.control.registrations(), 40, what="registered")
                (row,) = cube_6.control.registrations()
                assert row["ndicom"] == 3
                eventually(lambda: look(amqp_url, WORK_QUEUE).ready == 0)
                assert look(amqp_url, DEAD_LETTER_QUEUE).ready == 0
            assert registrar.running
