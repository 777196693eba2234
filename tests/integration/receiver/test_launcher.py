"""The launcher's faults happen in the child, at the call, and as often as they were told to."""

import errno
from pathlib import Path

from tests.support import scus
from tests.support.faults import Fault
from tests.support.instances import Instance, instance
from tests.support.receiver import Receiver

SCU = "FAULTY"
SERIES_FOLDER = r"SERVICES/PACS/FAULTY/[^/]+/[^/]+/[^/]+$"


def store(receiver: Receiver, folder: Path, *instances: Instance) -> list[int]:
    return scus.pynetdicom_store(receiver.scp_port, SCU, instances, folder / "sent")


def test_without_its_call_a_fault_does_nothing(tmp_path: Path) -> None:
    fault = Fault("fsync", "kill", where="no such file")
    with Receiver(tmp_path, faults=[fault]) as receiver:
        assert store(receiver, tmp_path, instance(1)) == [0x0000]


def test_the_process_is_killed_at_the_nth_call_and_its_replacement_is_not(tmp_path: Path) -> None:
    fault = Fault("rename", "kill", where=r"incoming/.*\.part$", nth=3)
    with Receiver(tmp_path, faults=[fault]) as receiver:
        victim = receiver.child()
        sent = [instance(number) for number in range(1, 5)]
        run = scus.storescu(receiver.scp_port, SCU, [one.write(tmp_path / "sent") for one in sent], "-xe")
        assert run.status != 0
        assert receiver.wait_for("fault_struck")["pid"] == victim
        assert receiver.wait_for("child_ended", child=victim)["signal"] == "SIGKILL"
        stored = [(receiver.files_root / one.path(SCU)).exists() for one in sent]
        assert stored == [True, True, False, False]
        receiver.wait_for_other_child(victim)
        assert store(receiver, tmp_path, *sent) == [0x0000] * 4


def test_a_call_fails_with_the_errno_and_only_as_often_as_said(tmp_path: Path) -> None:
    fault = Fault("fsync", "error", where=r"\.part$", nth=2, errno=errno.ENOSPC)
    with Receiver(tmp_path, faults=[fault]) as receiver:
        statuses = store(receiver, tmp_path, *(instance(number) for number in range(1, 4)))
        assert statuses == [0x0000, 0xA700, 0x0000]


def test_a_short_write_of_the_journal_refuses_one_instance_and_the_next_segment_takes_the_rest(
    tmp_path: Path,
) -> None:
    fault = Fault("write", "short", where=r"journals/.*\.log$", nth=3)
    with Receiver(tmp_path, faults=[fault]) as receiver:
        statuses = store(receiver, tmp_path, *(instance(number) for number in range(1, 5)))
        assert sorted(statuses) == [0x0000, 0x0000, 0x0000, 0xA700]


def test_a_held_call_holds_the_answer_back_until_it_is_released(tmp_path: Path) -> None:
    fault = Fault("fsync", "hold", where=SERIES_FOLDER)
    with Receiver(tmp_path, faults=[fault]) as receiver:
        sent = instance(1)
        storing = scus.start("storescu", receiver.scp_port, SCU, [sent.write(tmp_path / "sent")])
        receiver.wait_for("fault_struck")
        assert (receiver.files_root / sent.path(SCU)).exists()
        assert storing.poll() is None
        receiver.release()
        output, _ = storing.communicate(timeout=20)
        assert storing.returncode == 0, output


def test_the_relay_is_killed_after_a_confirmed_publish_and_its_replacement_publishes_again(
    tmp_path: Path, amqp_url: str
) -> None:
    fault = Fault("publish", "kill", role="relay", after=True, where="^InstanceStored")
    with Receiver(tmp_path, amqp_url, faults=[fault]) as receiver:
        victim = receiver.child("relay")
        assert store(receiver, tmp_path, instance(1)) == [0x0000]
        assert receiver.wait_for("fault_struck")["pid"] == victim
        receiver.wait_for_other_child(victim, "relay")
        assert receiver.stop() == 0
        assert receiver.wait_for("stopped")["messages_published"] >= 1
