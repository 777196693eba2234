"""The launcher's faults happen in the child, at the call, and as often as the test says.

Kills, halts and faults of the relay are in tests/faults.
"""

import errno
import os
import threading
from pathlib import Path

import pytest

from tests.support import scus
from tests.support.faults import Fault, arm
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


class Killed(BaseException):
    """In place of SIGKILL."""


def test_no_thread_kills_the_process_between_the_claim_of_a_fault_and_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (_, first), (_, second) = arm([Fault("fsync", "kill"), Fault("write", "kill")], "listener", tmp_path)
    steps: list[str] = []

    def kill(*_: object) -> None:
        steps.append(f"killed by {threading.current_thread().name}")
        raise Killed

    def strike_second() -> None:
        with pytest.raises(Killed):
            second.strike()

    other = threading.Thread(target=strike_second, name="another thread", daemon=True)

    def write(*_: object) -> None:
        if threading.current_thread() is not other:
            other.start()
            other.join(0.3)
            steps.append("reported")

    monkeypatch.setattr(os, "kill", kill)
    monkeypatch.setattr(os, "write", write)
    with pytest.raises(Killed):
        first.strike()
    other.join(10)
    assert steps == ["reported", f"killed by {threading.current_thread().name}", "killed by another thread"]
