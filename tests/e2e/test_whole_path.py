"""From real SCUs to CUBE: everything acknowledged is registered exactly once, with the values it bears."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.support.byte_scu import ByteSCU
from tests.support.instances import MR, Instance, instance, shipped_by_pydicom
from tests.support.ledger import SUCCESS
from tests.support.scus import pynetdicom_store, start
from tests.support.whole_path import WholePath

MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"


@pytest.fixture(autouse=True)
def _nothing_excuses_a_repetition(path: WholePath) -> None:
    path.cube.let_duplicates_through()


def series(count: int, number: int, **changes: Any) -> list[Instance]:
    return [instance(n, series=number, size=5000, **changes) for n in range(1, count + 1)]


def write_all(instances: Iterable[Instance], folder: Path) -> list[Path]:
    return [one.write(folder) for one in instances]


def registrations(path: WholePath, calling: str) -> dict[str, dict[str, Any]]:
    """What CUBE was told, by path."""
    prefix = f"SERVICES/PACS/{calling}/"
    return {row["path"]: row for row in path.cube.control.registrations() if row["path"].startswith(prefix)}


def differing_fields(row: dict[str, Any], sent: Instance) -> dict[str, tuple[object, object]]:
    """Where CUBE was told another value than pydicom reads from what was sent; the age apart, in days."""
    differing = {}
    for name in row.keys() - {"path", "pacs_name", "PatientAge"}:
        told, has = ("" if value is None else str(value) for value in (row[name], getattr(sent.tags, name)))
        if name in ("StudyDate", "PatientBirthDate"):
            told = told.replace("-", "")
        if told != has:
            differing[name] = (told, has)
    return differing


def test_programs_that_send_at_once_have_every_instance_registered_once_with_its_values(
    path: WholePath, tmp_path: Path
) -> None:
    sent = {
        "E2E_DCMSEND": series(20, 1) + series(10, 2, SOPClassUID=MR),
        "E2E_STORESCU": series(20, 3),
        "E2E_SECOND": series(10, 4, PatientName="Wang^XiaoDong=王^小东", SpecificCharacterSet="ISO_IR 192"),
    }
    programs = {"E2E_DCMSEND": "dcmsend", "E2E_STORESCU": "storescu", "E2E_SECOND": "dcmsend"}
    scus = {calling: path.scu(calling) for calling in sent}
    with path.receiver(CHRIS_LISTENER_PROCESSES=2) as receiver:
        running = [
            start(programs[calling], receiver.scp_port, calling, write_all(instances, tmp_path / calling))
            for calling, instances in sent.items()
        ]
        for process in running:
            output, _ = process.communicate(timeout=60)
            assert process.returncode == 0, output.decode(errors="replace")
        for calling, instances in sent.items():
            for one in instances:
                scus[calling].ledger.begin(one.path(calling), one)
                scus[calling].ledger.answer(one.path(calling), SUCCESS)
        report = path.report(*scus.values())
        report.check()
        assert len(report.registered) == 60
        assert receiver.stop() == 0  # killed, it might not have noted yet what it published last
    for calling, instances in sent.items():
        rows = registrations(path, calling)
        assert rows.keys() == {one.path(calling) for one in instances}
        for one in instances:
            row = rows[one.path(calling)]
            assert row["pacs_name"] == calling
            assert differing_fields(row, one) == {}
            assert row["PatientAge"] == 96 * 365.24 // 1


def test_what_pydicom_ships_is_registered_once_where_it_was_stored(path: WholePath, tmp_path: Path) -> None:
    files = [one for one in shipped_by_pydicom() if one.sop_class != MEDIA_STORAGE_DIRECTORY]
    sent = list({one.sop_instance: one for one in reversed(files)}.values())
    scu = path.scu("E2E_SHIPPED")
    with path.receiver() as receiver:
        statuses = pynetdicom_store(receiver.scp_port, scu.calling, sent, tmp_path)
        stored = [one for one, status in zip(sent, statuses, strict=True) if status == SUCCESS]
        assert len(stored) > 60
        for one in stored:
            scu.ledger.begin(one.path(scu.calling), one)
            scu.ledger.answer(one.path(scu.calling), SUCCESS)
        report = path.report(scu)
        report.check()
        assert receiver.stop() == 0
    rows = registrations(path, scu.calling)
    assert rows.keys() == {one.path(scu.calling) for one in stored}
    differing = {
        one.name: fields for one in stored if (fields := differing_fields(rows[one.path(scu.calling)], one))
    }
    assert differing == {}


def test_what_cube_cannot_take_is_a_dead_letter_with_its_reason_and_its_neighbours_are_registered(
    path: WholePath,
) -> None:
    good = series(5, 1)
    unregistrable = instance(1, series=2, PatientID="P" * 101)  # no PACS should, but a path it has
    refused = instance(1, series=3)
    scu = path.scu("E2E_DEAD")
    path.cube.refuse_duplicates()  # the registrar sends a good registration again, to see whose fault it is
    path.cube.control.fail(
        400, '{"PatientID":["Not this one."]}', path_contains=scu.path(refused).rpartition("/")[2]
    )
    with path.receiver() as receiver, ByteSCU(receiver.scp_port) as association:
        association.associate_for(instance(), calling=scu.calling)
        for one in (good[0], unregistrable, good[1], refused, *good[2:]):
            scu.ledger.begin(scu.path(one), one)
            scu.ledger.answer(scu.path(one), association.store(one).status)
        association.release()
        report = path.report(scu)
    path.cube.control.heal()
    report.check()
    assert len(report.acknowledged) == 7
    assert report.registered.keys() == {scu.path(one) for one in good}
    assert report.dead_lettered == {scu.path(unregistrable), scu.path(refused)}
    reasons = {letter.headers["lapidicom-reason"] for letter in path.dead_letters}
    assert reasons == {"unregistrable: PatientID: longer than 100 characters", "refused: PatientID"}
    answers = {letter.headers.get("lapidicom-answer") for letter in path.dead_letters}
    assert '{"PatientID":["Not this one."]}' in answers
