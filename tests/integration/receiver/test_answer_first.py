"""What the guarantee does not need comes after the answer: an SCU does not wait for it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.byte_scu import ByteSCU
from tests.support.faults import Fault
from tests.support.instances import instance
from tests.support.ledger import SUCCESS
from tests.support.on_disk import check_stored, temporary_files
from tests.support.polling import eventually
from tests.support.receiver import Receiver

SCU = "FIRST"
MARK = r"journals/.*/committed$"
NO_SYNCS = {"CHRIS_FSYNC": "no"}


@pytest.mark.parametrize(
    ("held", "settings"),
    [
        (Fault("close", "hold", where=r"PACS/FIRST/.*\.dcm$"), {}),
        (Fault("pwrite", "hold", where=MARK, nth=2), {}),  # behind that of the beginning
        (Fault("pwrite", "hold", where=MARK, nth=2), NO_SYNCS),
        (Fault("open", "hold", where=r"incoming/.*\.part$", nth=2), {}),
        (Fault("open", "hold", where=r"incoming/.*\.part$", nth=2), NO_SYNCS),
    ],
    ids=["close", "mark", "mark without syncs", "next file", "next file without syncs"],
)
def test_the_answer_waits_for_nothing_that_a_success_does_not_need(
    tmp_path: Path, held: Fault, settings: Mapping[str, str]
) -> None:
    sent = [instance(1), instance(2)]
    with Receiver(tmp_path, faults=[held], **settings) as receiver, ByteSCU(receiver.scp_port) as scu:
        scu.associate_for(sent[0], calling=SCU)
        assert scu.store(sent[0]).status == SUCCESS
        receiver.wait_for("fault_struck")
        receiver.release()
        assert scu.store(sent[1]).status == SUCCESS
        scu.release()
        assert eventually(lambda: temporary_files(receiver.spool) == [])
        check_stored(receiver.files_root, SCU, sent)
