"""Journals of real receivers: kills, lost cursors, one id for two.

Every instance answered with success is looked for in the work queue of a real RabbitMQ.
"""

import json
import os
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lapidicom.common.topology import WORK_QUEUE
from tests.support import scus
from tests.support.faults import Fault
from tests.support.instances import Instance, instance
from tests.support.on_disk import temporary_files
from tests.support.polling import eventually
from tests.support.queues import look, take_all
from tests.support.receiver import Receiver

SCU = "FAULTY"
ALONE = {"CHRIS_JOURNAL_TAKEOVER": "60"}
"""So long that only what the supervisor saw leads to a take-over."""


def instances(*numbers: int) -> list[Instance]:
    return [instance(number) for number in numbers]


def store(receiver: Receiver, folder: Path, sent: Sequence[Instance]) -> list[int]:
    return scus.pynetdicom_store(receiver.scp_port, SCU, sent, folder / "sent")


def paths(sent: Sequence[Instance]) -> set[str]:
    return {one.path(SCU) for one in sent}


class Taken:
    """What was in the work queue, added up over several looks."""

    def __init__(self, amqp_url: str) -> None:
        self._url = amqp_url
        self.instances: Counter[str] = Counter()
        self.series: list[tuple[int, bool]] = []

    def look(self) -> set[str]:
        for message in take_all(self._url, WORK_QUEUE):
            body = json.loads(message.body)
            if message.type == "InstanceStored":
                self.instances[body["path"]] += 1
            else:
                self.series.append((body["received"], body["ok"]))
        return set(self.instances)


def hold_broker(receiver: Receiver, url: str) -> None:
    """Wait until the relay has made the topology."""
    eventually(lambda: receiver.events("broker_publisher_connected"), 30)
    assert look(url, WORK_QUEUE).ready == 0


def test_a_killed_listener_is_finished_at_once_by_its_own_relay(tmp_path: Path, amqp_url: str) -> None:
    sent = instances(1, 2, 3)
    fault = Fault("rename", "kill", where=r"incoming/.*\.part$", nth=4)
    with Receiver(tmp_path, amqp_url, faults=[fault], **ALONE) as receiver:
        hold_broker(receiver, amqp_url)
        run = scus.storescu(
            receiver.scp_port, SCU, [one.write(tmp_path / "sent") for one in [*sent, instance(4)]], "-xe"
        )
        assert run.status != 0
        taken = Taken(amqp_url)
        eventually(lambda: taken.look() >= paths(sent) and taken.series, 20)
        assert (3, False) in taken.series
        assert receiver.wait_for("journal_taken_over")["end_seen"] is True
        eventually(lambda: temporary_files(receiver.spool) == [], 10)
        assert receiver.stop() == 0


def test_a_relay_killed_at_a_publish_sends_the_rest_and_a_lost_cursor_loses_nothing(
    tmp_path: Path, amqp_url: str
) -> None:
    sent = instances(*range(1, 11))
    fault = Fault("publish", "kill", role="relay", nth=4, where="^InstanceStored")
    with Receiver(tmp_path, amqp_url, faults=[fault], **ALONE) as receiver:
        hold_broker(receiver, amqp_url)
        assert store(receiver, tmp_path, sent) == [0x0000] * 10
        receiver.wait_for("child_ended", role="relay")
        for cursor in receiver.spool.glob("journals/2/*/cursor"):
            cursor.unlink()
        taken = Taken(amqp_url)
        eventually(lambda: taken.look() == paths(sent) and (10, True) in taken.series, 30)
        assert receiver.stop() == 0


def test_a_paused_receiver_loses_nothing_though_its_journal_is_finished_meanwhile(
    tmp_path: Path, amqp_url: str
) -> None:
    before, after = instances(1, 2), instances(3, 4)
    files_root = tmp_path / "files"
    with (
        Receiver(tmp_path, files_root=files_root, CHRIS_RECEIVER_ID="paused") as paused,
        Receiver(tmp_path, amqp_url, files_root=files_root, CHRIS_RECEIVER_ID="other") as other,
    ):
        hold_broker(other, amqp_url)
        assert store(paused, tmp_path, before) == [0x0000] * 2
        pids = [paused.pid, *paused.children()]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        other.wait_for("journal_finished")
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        assert store(paused, tmp_path, after) == [0x0000] * 2  # in a new life, which it has no broker for
        taken = Taken(amqp_url)
        eventually(lambda: taken.look() == paths(before), 30)
        paused.kill_whole()
        eventually(lambda: taken.look() == paths([*before, *after]), 30)
        assert other.stop() == 0


def test_two_receivers_with_one_id_on_one_volume_do_not_disturb_each_other(
    tmp_path: Path, amqp_url: str
) -> None:
    files_root = tmp_path / "files"
    with (
        Receiver(tmp_path, amqp_url, files_root=files_root, CHRIS_RECEIVER_ID="same") as first,
        Receiver(tmp_path, amqp_url, files_root=files_root, CHRIS_RECEIVER_ID="same") as second,
    ):
        hold_broker(first, amqp_url)
        hold_broker(second, amqp_url)
        for number in range(1, 6):
            assert store(first, tmp_path, instances(number)) == [0x0000]
            assert store(second, tmp_path, instances(100 + number)) == [0x0000]
        sent = instances(*range(1, 6), *range(101, 106))
        taken = Taken(amqp_url)
        eventually(lambda: taken.look() == paths(sent), 20)
        # Each relay follows its own supervisor's listeners only.
        assert set(taken.instances.values()) == {1}
        # One of them ends with its listener killed; the other's journals are not touched by that.
        os.kill(first.child(), signal.SIGKILL)
        assert store(second, tmp_path, instances(200)) == [0x0000]
        assert first.stop() == 0
        assert second.stop() == 0
        eventually(lambda: taken.look() == paths([*sent, *instances(200)]), 20)


def test_a_journal_write_that_fails_half_way_is_followed_by_good_ones(tmp_path: Path, amqp_url: str) -> None:
    sent = instances(1, 2, 3, 4)
    fault = Fault("write", "short", where=r"journals/.*\.log$", nth=3)
    with Receiver(tmp_path, amqp_url, faults=[fault], **ALONE) as receiver:
        statuses = store(receiver, tmp_path, sent)
        stored = [one for one, status in zip(sent, statuses, strict=True) if status == 0x0000]
        assert len(stored) == 3
        taken = Taken(amqp_url)
        eventually(lambda: taken.look() >= paths(stored) and (3, True) in taken.series, 30)
        assert receiver.stop() == 0
        assert receiver.events("journal_tail_torn")
