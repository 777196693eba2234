"""A volume whose calls do not come back: instances in hand are refused, all others served, and it shows."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lapidicom.common.journal import records
from lapidicom.common.journal.format import COMMITTED
from tests.support.byte_scripts import CT, IMPLICIT, VERIFICATION
from tests.support.byte_scu import Aborted, ByteSCU
from tests.support.faults import Fault
from tests.support.fuse_volume import FuseVolume, fuse_volume
from tests.support.instances import instance
from tests.support.journals import journal_folders, records_of
from tests.support.ledger import OUT_OF_RESOURCES, SUCCESS
from tests.support.on_disk import stored_paths, temporary_files
from tests.support.polling import eventually
from tests.support.receiver import Receiver

SCU = "HANGING"


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FuseVolume]:
    with fuse_volume(tmp_path_factory.mktemp("fuse")) as volume:
        yield volume


@pytest.mark.parametrize(("operation", "has_name"), [("write", False), ("fsync", False), ("rename", True)])
def test_an_instance_that_waits_for_the_volume_is_refused_in_time_and_gets_no_record(
    tmp_path: Path, volume: FuseVolume, operation: str, has_name: bool
) -> None:
    first, held, other = instance(1), instance(2), instance(3)
    receiver = Receiver(
        tmp_path,
        files_root=volume.root / operation,
        CHRIS_STORE_TIMEOUT=2,
        CHRIS_LISTENER_THREADS=1,
        CHRIS_SCP_ADMISSION_WAIT=30,
    )
    with receiver, ByteSCU(receiver.scp_port) as scu, ByteSCU(receiver.scp_port) as later:
        scu.associate_for(first, calling=SCU)
        assert scu.store(first).status == SUCCESS
        # Behind the answer the mark moves, and last the file for the next instance is made.
        eventually(lambda: temporary_files(receiver.spool) != [])
        with volume.hanging(operation):
            assert scu.store(held).status == OUT_OF_RESOURCES
            with pytest.raises(Aborted):
                scu.read_response()
            assert receiver.wait_for("store_timed_out")["answered"]
            # The place of the association that hangs is free, and nothing new waits for the volume.
            later.associate((CT, [other.transfer_syntax]), (VERIFICATION, [IMPLICIT]), calling=SCU)
            assert later.echo().status == SUCCESS
            assert later.store(other).status == OUT_OF_RESOURCES
            [reason] = eventually(receiver.reasons)
            assert reason.startswith("listener 0: volume has not answered for")
            assert receiver.get("/livez")[0] == 200
        eventually(lambda: receiver.reasons() == [])
        stored = stored_paths(receiver.files_root)
        assert (held.path(SCU) in stored) == has_name
        recorded = {one["path"] for one in records_of(receiver.spool, records.INSTANCE_RECEIVED, SCU)}
        assert recorded == {first.path(SCU)}
        assert later.store(held).status == SUCCESS
        assert later.store(other).status == SUCCESS
        later.release()
        assert eventually(lambda: temporary_files(receiver.spool) == [])


def test_an_instance_whose_record_waited_too_long_is_refused_and_its_record_counts_once_it_is_durable(
    tmp_path: Path,
) -> None:
    first, held = instance(1), instance(2)
    faults = [
        Fault("fdatasync", "hold", where=r"/journals/.*\.log$", nth=3)
    ]  # the segment's, the first's, this
    receiver = Receiver(tmp_path, faults=faults, CHRIS_STORE_TIMEOUT=2, CHRIS_JOURNAL_TAKEOVER=600)
    with receiver, ByteSCU(receiver.scp_port) as scu:
        scu.associate_for(first, calling=SCU)
        assert scu.store(first).status == SUCCESS
        assert scu.store(held).status == OUT_OF_RESOURCES
        with pytest.raises(Aborted):
            scu.read_response()
        [journal] = journal_folders(receiver.spool)
        mark = (journal / COMMITTED).read_bytes()
        receiver.release()
        eventually(lambda: (journal / COMMITTED).read_bytes() != mark)
        assert stored_paths(receiver.files_root) == {first.path(SCU), held.path(SCU)}
        recorded = [one["path"] for one in records_of(receiver.spool, records.INSTANCE_RECEIVED, SCU)]
        assert recorded == [first.path(SCU), held.path(SCU)]
        eventually(lambda: receiver.reasons() == [])
        with ByteSCU(receiver.scp_port) as again:
            again.associate_for(held, calling=SCU)
            assert again.store(held).status == SUCCESS
