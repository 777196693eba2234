"""Orthanc sends to the receiver, as it does in most deployments of ChRIS."""

from collections.abc import Iterator

import pytest

from lapidicom.common.journal import records
from tests.support.instances import EXPLICIT, IMPLICIT, MR, Instance, instance, leaks
from tests.support.journals import records_of
from tests.support.on_disk import check_stored, temporary_files
from tests.support.orthanc import Orthanc
from tests.support.polling import eventually
from tests.support.receiver import Receiver

CALLING = "ORTHANC"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with Receiver(tmp_path_factory.mktemp("receiver"), CHRIS_VERBOSE="yes") as running:
        yield running
        assert leaks(running.log_text()) == []
        assert eventually(lambda: temporary_files(running.spool) == [])


@pytest.fixture(scope="module")
def orthanc(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with Orthanc(tmp_path_factory.mktemp("orthanc"), receiver.scp_port, CALLING) as running:
        yield running


def test_orthanc_stores_two_series_and_a_compressed_instance_beside_one_that_is_refused(
    receiver: Receiver, orthanc: Orthanc
) -> None:
    good: list[Instance] = [
        *(instance(number, size=100_000, transfer_syntax=EXPLICIT) for number in range(1, 11)),
        *(instance(number, series=2, transfer_syntax=IMPLICIT, SOPClassUID=MR) for number in range(1, 6)),
        instance(1, series=3, transfer_syntax=JPEG_BASELINE),
    ]
    bad = instance(99, without=["StudyDate"])
    assert orthanc.echo() == {}
    resources = orthanc.take(one.file for one in [*good[:5], bad, *good[5:]])
    said = orthanc.store(resources, permissive=True)
    assert said["InstancesCount"] == len(good) + 1
    assert "failed with DIMSE status 0xC000" in orthanc.log_text()
    check_stored(receiver.files_root, CALLING, good)
    (refused,) = records_of(receiver.spool, records.INSTANCE_REFUSED, CALLING)
    assert refused["SOPInstanceUID"] == bad.sop_instance

    # Orthanc proposes the compressed transfer syntax in an association of its own.
    def ends() -> list[dict[str, int]]:
        found = records_of(receiver.spool, records.ASSOCIATION_ENDED, CALLING)
        return found if sum(end["received"] for end in found) == len(good) else []

    assert sum(end["refused"] for end in eventually(ends)) == 1
    assert {end["how"] for end in ends()} == {"released"}
