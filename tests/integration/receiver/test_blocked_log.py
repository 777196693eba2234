"""A log that nobody reads: standard error is a pipe that stays full, and all work goes on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.byte_scu import ByteSCU
from tests.support.instances import Instance, instance
from tests.support.receiver import Receiver

ASSOCIATIONS = 600
"""Each writes two lines: more than pipe and buffer hold."""


@pytest.fixture
def unread(tmp_path: Path) -> Iterator[Receiver]:
    """A receiver whose log is read up to `ready`, and no further."""
    with Receiver(tmp_path, CHRIS_FSYNC="no") as receiver:
        receiver.stop_reading_the_log()
        yield receiver


def store(receiver: Receiver, one: Instance) -> int:
    with ByteSCU(receiver.scp_port) as scu:
        status = scu.associate_for(one, calling="UNREAD").store(one).status
        scu.release()
        return status


def test_every_association_is_served_and_what_the_log_lost_is_counted(unread: Receiver) -> None:
    answers = [store(unread, instance(number, size=100)) for number in range(1, ASSOCIATIONS + 1)]
    assert answers == [0x0000] * ASSOCIATIONS
    assert unread.reasons() == []
    unread.read_the_log_again()
    dropped = unread.wait_for("log_lines_dropped", process="listener")
    ended = len(unread.events("association_ended"))
    assert store(unread, instance(ASSOCIATIONS + 1)) == 0x0000
    unread.wait_for("association_ended", count=ended + 1)
    assert unread.other_output == [], "a torn line"
    written = len(unread.events("association_accepted")) + len(unread.events("association_ended"))
    assert written + dropped["count"] == 2 * (ASSOCIATIONS + 1)
