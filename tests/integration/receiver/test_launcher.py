"""The launcher's faults happen in the child, at the call, and as often as they were told to.

Kills, halts and faults of the relay are in tests/faults.
"""

import errno
from pathlib import Path

from tests.support import scus
from tests.support.faults import Fault
from tests.support.instances import instance
from tests.support.receiver import Receiver


def test_a_call_fails_with_the_errno_and_only_as_often_as_said(tmp_path: Path) -> None:
    faults = [
        Fault("fsync", "kill", where="no such file"),
        Fault("fsync", "error", where=r"\.part$", nth=2, errno=errno.ENOSPC),
    ]
    with Receiver(tmp_path, faults=faults) as receiver:
        sent = [instance(number) for number in range(1, 4)]
        statuses = scus.pynetdicom_store(receiver.scp_port, "FAULTY", sent, tmp_path / "sent")
        assert statuses == [0x0000, 0xA700, 0x0000]
        assert [line["number"] for line in receiver.events("fault_struck")] == [1]
