"""Folders that go away under a running receiver: the next instance makes them anew."""

import errno
import itertools
import shutil
from pathlib import Path

from tests.support.byte_scu import ByteSCU
from tests.support.faults import Fault
from tests.support.instances import instance
from tests.support.ledger import SUCCESS
from tests.support.receiver import Receiver


def test_a_removed_folder_of_any_level_costs_no_instance(tmp_path: Path) -> None:
    """In the association that had it open, in a later one, and where a network volume calls it stale."""
    instances = (instance(number) for number in itertools.count(1))
    one = instance(1)
    folders = one.path("REMOVER").split("/")[:-1]
    stale = Fault("rename", "error", errno=errno.ESTALE, where="/incoming/.*part$")
    with Receiver(tmp_path, faults=[stale]) as receiver:
        with ByteSCU(receiver.scp_port) as scu:
            scu.associate_for(one, calling="REMOVER")
            for depth in range(len(folders), 0, -1):
                assert scu.store(next(instances)).status == SUCCESS
                shutil.rmtree(receiver.files_root / "/".join(folders[:depth]))
            last = next(instances)
            assert scu.store(last).status == SUCCESS
            scu.release()
        assert (receiver.files_root / last.path("REMOVER")).exists()
        assert receiver.wait_for("fault_struck")["errno"] == errno.ESTALE
        shutil.rmtree(receiver.files_root / "SERVICES")
        with ByteSCU(receiver.scp_port) as scu:
            scu.associate_for(one, calling="REMOVER")
            last = next(instances)
            assert scu.store(last).status == SUCCESS
            scu.release()
        assert (receiver.files_root / last.path("REMOVER")).exists()
        assert receiver.events("instance_refused") == []
