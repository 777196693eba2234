"""Where the instances of a series lie, whatever they say about themselves and whoever brings them."""

from pathlib import Path

from lapidicom.common.messages import InstanceStored, SeriesReceived
from lapidicom.common.open_series import healing_mark, is_open
from lapidicom.common.topology import WORK_QUEUE
from tests.support.byte_scu import ByteSCU
from tests.support.instances import Instance, instance
from tests.support.on_disk import stored_paths
from tests.support.polling import eventually
from tests.support.queues import look, take_all
from tests.support.receiver import Receiver

SCU = "FOLDERS"


def send(receiver: Receiver, *instances: Instance) -> list[int]:
    """Send all by one association; their statuses."""
    with ByteSCU(receiver.scp_port) as scu:
        scu.associate_for(instances[0], calling=SCU)
        statuses = [scu.store(one).status for one in instances]
        scu.release()
    return statuses


def test_one_folder_for_a_series_and_another_for_another_identity(tmp_path: Path, amqp_url: str) -> None:
    first, described, later = (
        instance(1),
        instance(2, SeriesDescription="Anders", PatientName="Other^Name"),
        instance(3, StudyDescription="Later"),
    )
    corrected = instance(1, StudyInstanceUID="1.2.3.4.5")
    with Receiver(tmp_path, amqp_url, CHRIS_LISTENER_PROCESSES=2, CHRIS_JOURNAL_TAKEOVER=60) as receiver:
        receiver.wait_for("broker_publisher_connected")  # then there is a queue
        assert send(receiver, first, described) == [0, 0]
        assert send(receiver, later) == [0]
        assert send(receiver, corrected, corrected) == [0, 0]
        uid = first.tags.SeriesInstanceUID or ""
        eventually(lambda: not is_open(receiver.spool, SCU, uid))
        eventually(lambda: look(amqp_url, WORK_QUEUE).ready == 5 + 3)
        paths = stored_paths(receiver.files_root)
        messages = take_all(amqp_url, WORK_QUEUE)
    folders = {path.rpartition("/")[0] for path in paths}
    own = first.path(SCU).rpartition("/")[0]
    assert (len(paths), len(folders), own in folders) == (4, 2, True)
    [apart] = folders - {own}
    assert apart.rpartition("/")[0] == own.rpartition("/")[0]
    stored = [InstanceStored.model_validate_json(m.body) for m in messages if m.type == "InstanceStored"]
    assert {one.path for one in stored} == paths
    assert {one.path.rpartition("/")[0] for one in stored if one.StudyInstanceUID == "1.2.3.4.5"} == {apart}
    ends = [SeriesReceived.model_validate_json(m.body) for m in messages if m.type == "SeriesReceived"]
    # Of associations with two listeners the ends may come in any order.
    assert {(end.folder, end.received, end.files) for end in ends} == {
        (own, 2, 2),
        (own, 1, 3),
        (apart, 2, 1),
    }


def test_a_series_that_is_being_healed_is_refused_alone_and_the_receiver_stays_ready(tmp_path: Path) -> None:
    healed, other = instance(1), instance(1, series=2)
    with Receiver(tmp_path) as receiver:
        mark = receiver.spool / healing_mark(SCU, healed.tags.SeriesInstanceUID or "")
        mark.parent.mkdir(parents=True)
        mark.touch()
        sent = [healed, other] * 25
        assert send(receiver, *sent) == [0xA700, 0] * 25
        assert receiver.get("/readyz")[0] == 200
        assert not is_open(receiver.spool, SCU, healed.tags.SeriesInstanceUID or "")
        mark.unlink()
        assert send(receiver, healed) == [0]
        assert stored_paths(receiver.files_root) == {healed.path(SCU), other.path(SCU)}
