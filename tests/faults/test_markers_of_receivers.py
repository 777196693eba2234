"""Listeners killed and frozen around open markers: a series is open as long as it must be, and no longer."""

import os
import signal
import threading
from pathlib import Path

from lapidicom.common.open_series import OPEN, is_open, life_of
from tests.support.byte_scu import ByteSCU
from tests.support.faults import Fault
from tests.support.instances import instance
from tests.support.polling import eventually
from tests.support.receiver import PAUSABLE, Receiver
from tests.support.whole_path import WholePath

MARKER = rf"/{OPEN}/[^/]+/[^/]+/[0-9a-f]{{32}}\."
MARKERS = rf"/{OPEN}/[^/]+/[^/]+$"
SEGMENT = r"journals/.*\.log$"

POINTS = (
    ("open", MARKER, False),
    ("open", MARKER, True),
    ("fsync", MARKERS, False),
    ("fsync", MARKERS, True),
    ("link", r"\.series$", False),
    ("link", r"\.series$", True),
    ("unlink", MARKER, False),
    ("unlink", MARKER, True),
)
"""Operation, path, and whether the listener is killed behind the call."""


def markers(spool: Path) -> list[Path]:
    """All open markers."""
    return list(spool.glob(f"{OPEN}/*/*/*"))


def test_a_listener_killed_at_any_step_of_a_marker_or_a_folder_leaves_no_series_open(path: WholePath) -> None:
    faults = [
        Fault(operation, "kill", where=where, nth=2, or_later=True, after=after)
        for operation, where, after in POINTS
    ]
    scus = []
    with path.receiver(faults=faults) as receiver:
        while len(receiver.events("fault_struck")) < len(faults) and len(scus) < 40:
            scus.append(path.scu(f"MARKERS{len(scus)}", patience=3))
            scus[-1].send([instance(number, series=len(scus), size=2000) for number in (1, 2)])
        assert len(receiver.events("fault_struck")) == len(faults)
        path.report(*scus).check()
        eventually(lambda: not markers(receiver.spool), seconds=60, what="no series is open")
        entries = [entry.name for entry in receiver.spool.glob("series/MARKERS*/*")]
        assert len(entries) == len(scus)
        assert all(entry.endswith(".1") for entry in entries), "one folder for each series"


def test_a_frozen_listener_goes_on_under_the_marker_of_a_new_life(tmp_path: Path, amqp_url: str) -> None:
    """Meanwhile another one has finished its life: the series has ended there."""
    frozen = Fault("fdatasync", "stop", where=SEGMENT, nth=3)  # the segment's, the first instance's, this
    first, second = instance(1, size=2000), instance(2, size=2000)
    uid = first.tags.SeriesInstanceUID or ""
    answers = []
    receiver = Receiver(tmp_path, amqp_url, faults=[frozen], **PAUSABLE)
    with receiver, ByteSCU(receiver.scp_port) as scu:
        scu.associate_for(first, calling="FROZEN")
        assert scu.store(first).status == 0
        [marker] = markers(receiver.spool)
        sending = threading.Thread(target=lambda: answers.append(scu.store(second).status))
        sending.start()
        struck = receiver.wait_for("fault_struck")
        receiver.wait_for("journal_finished")
        assert not is_open(receiver.spool, "FROZEN", uid)
        os.kill(struck["pid"], signal.SIGCONT)
        sending.join(30)
        assert answers == [0]
        # A process stops a moment after the signal: if its record was durable by then, the instance belongs
        # to the life that was finished, and may be answered before the heartbeat begins the next one.
        [renewed] = eventually(lambda: markers(receiver.spool), what="marked in the new life")
        assert renewed.parent == marker.parent
        assert life_of(renewed.name) != life_of(marker.name)
        scu.release()
        eventually(lambda: not is_open(receiver.spool, "FROZEN", uid))
