"""One association with very many series, or with very long texts: everything acknowledged is published."""

from collections import Counter
from pathlib import Path

from lapidicom.common.messages import SeriesReceived
from lapidicom.common.topology import WORK_QUEUE
from lapidicom.receiver.association.series_book import MAX_OPEN_SERIES
from tests.support.byte_scu import ByteSCU
from tests.support.instances import Instance, instance
from tests.support.polling import eventually
from tests.support.queues import look, take_all
from tests.support.receiver import Receiver


def send(receiver: Receiver, instances: list[Instance]) -> int:
    """Send all by one association; return how many were acknowledged."""
    with ByteSCU(receiver.scp_port) as scu:
        scu.associate_for(instances[0])
        statuses = [scu.store(one, pdu_length=131072).status for one in instances]
        scu.release()
    return statuses.count(0x0000)


def test_texts_of_60_kb_lose_no_instance(tmp_path: Path, amqp_url: str) -> None:
    """Once the list of 13 such series was longer than a line of the journal, from its second segment on."""
    series, each = 13, 16
    text = {"SpecificCharacterSet": "ISO_IR 100", "StudyDescription": "ä" * 60_000}
    instances = [
        instance(number, series=one, size=2, **text) for number in range(each) for one in range(series)
    ]
    with Receiver(tmp_path, amqp_url) as receiver:
        assert send(receiver, instances) == series * each
        eventually(lambda: look(amqp_url, WORK_QUEUE).ready == series * each + series, seconds=30)
        cut = receiver.wait_for("values_cut")
        assert (cut["tags"], "ää" in receiver.log_text()) == (["StudyDescription"], False)


def test_hundreds_of_open_series_are_ended_one_after_the_other(tmp_path: Path, amqp_url: str) -> None:
    series = MAX_OPEN_SERIES + 40
    instances = [instance(number, series=one, size=2) for number in (1, 2) for one in range(series)]
    with Receiver(tmp_path, amqp_url) as receiver:
        assert send(receiver, instances) == 2 * series
        # Each series comes back when it has been ended, so that it is ended twice.
        eventually(lambda: look(amqp_url, WORK_QUEUE).ready == 4 * series, seconds=30)
        messages = take_all(amqp_url, WORK_QUEUE)
    assert len({message.headers["lapidicom-id"] for message in messages}) == 4 * series
    ends = [SeriesReceived.model_validate_json(m.body) for m in messages if m.type == "SeriesReceived"]
    received = Counter(end.folder for end in ends for _ in range(end.received))
    assert (len(received), set(received.values())) == (series, {2})
    assert {end.ok for end in ends} == {True}
