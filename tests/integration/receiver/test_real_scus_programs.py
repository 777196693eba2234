"""Programs that hospitals and researchers use send to the receiver."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lapidicom.common.journal import records
from tests.support.byte_scu import ByteSCU
from tests.support.instances import (
    EXPLICIT,
    IMPLICIT,
    MR,
    Instance,
    instance,
    leaks,
    of_file,
    shipped_by_pydicom,
)
from tests.support.journals import records_of
from tests.support.on_disk import check_stored, stored_paths, temporary_files
from tests.support.polling import eventually
from tests.support.receiver import Receiver
from tests.support.scus import dcmsend, echoscu, gdcmscu, pynetdicom_associate, pynetdicom_store, storescu

MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"
REAL_SERIES = Path(__file__).parents[4] / "shared" / "data"


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with Receiver(tmp_path_factory.mktemp("receiver"), CHRIS_VERBOSE="yes") as running:
        yield running
        assert leaks(running.log_text()) == []
        assert running.events("uncaught_exception") == []
        assert running.events("association_failed") == []
        assert eventually(lambda: temporary_files(running.spool) == [])


def series(count: int, **changes: object) -> list[Instance]:
    return [instance(number, size=5000, **changes) for number in range(1, count + 1)]  # type: ignore[arg-type]


def write_all(instances: list[Instance], folder: Path) -> list[Path]:
    return [one.write(folder) for one in instances]


def was_released(receiver: Receiver, calling: str) -> None:
    """GDCM 3.0.21 dies of an exception of its own after its release, so its exit status tells nothing."""
    accepted = receiver.wait_for("association_accepted", calling=calling)
    ended = receiver.wait_for("association_ended", association_id=accepted["association_id"])
    assert ended["released"] is True


def test_echoscu_is_answered(receiver: Receiver) -> None:
    run = echoscu(receiver.scp_port, "ECHOSCU", "--repeat", "3", "-ppc", "128")
    assert run.status == 0, run.output
    assert run.output.count("Received Echo Response (Success)") == 3


def test_echoscu_aborting_disturbs_nobody(receiver: Receiver) -> None:
    run = echoscu(receiver.scp_port, "ECHOSCU2", "--abort")
    assert run.status == 0, run.output
    assert echoscu(receiver.scp_port, "ECHOSCU3").status == 0


def test_gdcmscu_echoes(receiver: Receiver) -> None:
    gdcmscu(receiver.scp_port, "GDCMECHO", "--echo")
    was_released(receiver, "GDCMECHO")


@pytest.mark.parametrize("count", [1, 12])
def test_storescu_as_it_ships_stores_a_series(receiver: Receiver, tmp_path: Path, count: int) -> None:
    sent, calling = series(count), f"STORESCU{count}"
    run = storescu(receiver.scp_port, calling, write_all(sent, tmp_path))
    assert run.status == 0, run.output
    assert run.output.count("Received Store Response (Success)") == count
    check_stored(receiver.files_root, calling, sent)


def test_storescu_proposing_implicit_only_has_its_bytes_kept(receiver: Receiver, tmp_path: Path) -> None:
    sent = series(2, transfer_syntax=IMPLICIT)
    run = storescu(receiver.scp_port, "STOREIMPL", write_all(sent, tmp_path), "-xi")
    assert run.status == 0, run.output
    check_stored(receiver.files_root, "STOREIMPL", sent)


def test_storescu_proposing_all_its_128_contexts_stores(receiver: Receiver, tmp_path: Path) -> None:
    sent = [instance(1, size=5000), instance(1, series=2, size=5000, SOPClassUID=MR)]
    run = storescu(receiver.scp_port, "STOREALL", write_all(sent, tmp_path), "-xs", "--verbose-pc")
    assert run.status == 0, run.output
    check_stored(receiver.files_root, "STOREALL", sent)


def test_storescu_goes_on_after_an_instance_without_study_date(receiver: Receiver, tmp_path: Path) -> None:
    good = [instance(1), instance(3)]
    bad = instance(2, without=["StudyDate"])
    files = [one.write(tmp_path) for one in (good[0], bad, good[1])]
    run = storescu(receiver.scp_port, "STOREBAD", files, "--no-halt", "-d")
    assert run.output.count(": 0x0000: Success") == 2
    assert "StudyDate (0008,0020) is missing" in run.output
    check_stored(receiver.files_root, "STOREBAD", good)
    (refused,) = records_of(receiver.spool, records.INSTANCE_REFUSED, "STOREBAD")
    assert refused["status"] == "0xC000"
    assert refused["tags"] == ["(0008,0020)"]


def test_storescu_that_aborts_keeps_what_it_was_promised(receiver: Receiver, tmp_path: Path) -> None:
    sent = series(2)
    run = storescu(receiver.scp_port, "STOREABRT", write_all(sent, tmp_path), "--abort")
    assert run.status == 0, run.output
    check_stored(receiver.files_root, "STOREABRT", sent)

    def ended() -> list[dict[str, object]]:
        return records_of(receiver.spool, records.ASSOCIATION_ENDED, "STOREABRT")

    (end,) = eventually(ended)
    assert (end["how"], end["received"], end["refused"]) == ("aborted", 2, 0)


def test_dcmsend_stores_two_series_of_two_classes(receiver: Receiver, tmp_path: Path) -> None:
    sent = series(5) + series(5, series=2, SOPClassUID=MR)
    run = dcmsend(receiver.scp_port, "DCMSEND", write_all(sent, tmp_path))
    assert run.status == 0, run.output
    check_stored(receiver.files_root, "DCMSEND", sent)

    def ends() -> list[dict[str, object]]:
        found = records_of(receiver.spool, records.SERIES_ENDED, "DCMSEND")
        return found if len(found) == 2 else []

    for message in eventually(ends):
        assert (message["received"], message["refused"], message["ok"]) == (5, 0, True)


def test_gdcmscu_stores(receiver: Receiver, tmp_path: Path) -> None:
    sent = [instance(1, size=5000, transfer_syntax=EXPLICIT)]
    run = gdcmscu(receiver.scp_port, "GDCMSCU", "--store", files=write_all(sent, tmp_path))
    assert "terminate called" in run.output or run.status == 0, run.output
    was_released(receiver, "GDCMSCU")
    check_stored(receiver.files_root, "GDCMSCU", sent)


@pytest.mark.parametrize("max_pdu", [4096, 16382, 0])
def test_pynetdicom_stores(receiver: Receiver, tmp_path: Path, max_pdu: int) -> None:
    sent, calling = series(4, transfer_syntax=IMPLICIT), f"PYNETDICOM{max_pdu}"
    statuses = pynetdicom_store(receiver.scp_port, calling, sent, tmp_path, max_pdu=max_pdu)
    assert statuses == [0] * 4
    check_stored(receiver.files_root, calling, sent)


def test_pynetdicom_echoes_between_its_stores(receiver: Receiver) -> None:
    sent = instance(1)
    association = pynetdicom_associate(receiver.scp_port, "PYNETECHO", [sent])
    assert association.send_c_echo().Status == 0
    association.release()
    assert association.is_released


@pytest.mark.skipif(not REAL_SERIES.is_dir(), reason="the real series are not here")
def test_dcmsend_brings_the_real_series_to_the_paths_of_oxidicom(receiver: Receiver) -> None:
    calling = "OXITESTORTHANC"
    folders = [path for path in REAL_SERIES.iterdir() if path.is_dir()]
    run = dcmsend(receiver.scp_port, calling, folders, "--scan-directories", "--recurse")
    assert run.status == 0, run.output[-2000:]
    expected = expected_files()
    assert len(expected) == 576
    assert stored_paths(receiver.files_root, calling) == expected
    received = records_of(receiver.spool, records.INSTANCE_RECEIVED, calling)
    assert {one["path"] for one in received} == expected
    assert len(received) == 576


@pytest.mark.skipif(not REAL_SERIES.is_dir(), reason="the real series are not here")
def test_the_real_series_are_stored_byte_by_byte(receiver: Receiver) -> None:
    """By an SCU that does not encode anew, as dcmtk does."""
    calling = "REALBYTES"
    sent = [one for one in map(of_file, REAL_SERIES.rglob("*.dcm")) if one is not None]
    assert len(sent) == 576
    with ByteSCU(receiver.scp_port) as scu:
        scu.associate_for(*sent, calling=calling)
        assert {scu.store(one, pdu_length=scu.max_length).status for one in sent} == {0}
        scu.release()
    expected = {path.replace("OXITESTORTHANC", calling) for path in expected_files()}
    assert stored_paths(receiver.files_root, calling) == expected
    check_stored(receiver.files_root, calling, sent)


def expected_files() -> set[str]:
    return set((REAL_SERIES / "expected_files.txt").read_text().split())


def test_every_file_that_pydicom_ships_is_stored_or_refused_for_cause(
    receiver: Receiver, tmp_path: Path
) -> None:
    """By pynetdicom, which sends the bytes of a file as they are."""
    # Several files bear one UID: the first of each is sent. A DICOMDIR is no instance that C-STORE knows.
    files = [one for one in shipped_by_pydicom() if one.sop_class != MEDIA_STORAGE_DIRECTORY]
    sent = list({one.sop_instance: one for one in reversed(files)}.values())
    statuses = pynetdicom_store(receiver.scp_port, "SHIPPED", sent, tmp_path)
    differing = {
        one.name: f"0x{status:04X}"
        for one, status in zip(sent, statuses, strict=True)
        if status != expected_status(one)
    }
    assert differing == {}
    stored = [one for one, status in zip(sent, statuses, strict=True) if status == 0]
    assert len(stored) > 60
    check_stored(receiver.files_root, "SHIPPED", stored)


def expected_status(one: Instance) -> int:
    """Of an instance of which the command says what its file's File Meta says."""
    if (one.tags.SOPClassUID, one.tags.SOPInstanceUID) != (one.sop_class, one.sop_instance):
        return 0xA900
    return 0x0000 if one.can_be_filed else 0xC000
