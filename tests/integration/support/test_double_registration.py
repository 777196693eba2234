"""A registration that is really done twice is told: the books do not call it none because CUBE refuses it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lapidicom.common.journal.records import INSTANCE_RECEIVED
from lapidicom.common.messages import InstanceStored
from lapidicom.common.topology import topology
from tests.support.instances import instance
from tests.support.journals import records_of
from tests.support.ledger import Report, counts_of
from tests.support.polling import eventually
from tests.support.queues import envelope, publish
from tests.support.whole_path import WholePath

COUNT = 3


@pytest.fixture
def untidy(tmp_path: Path, amqp_url: str) -> Iterator[WholePath]:
    """The whole path with a CUBE that lets duplicates through."""
    with WholePath(tmp_path, amqp_url, unique=False) as path:
        path.registrar()
        yield path


def send_and_publish_one_again(path: WholePath) -> Report:
    """Send a series, publish one of its messages once more, and wait for the answer to that."""
    scu = path.scu("TWICE")
    with path.receiver():
        scu.send([instance(number) for number in range(1, COUNT + 1)])
        path.report(scu).check()
        record, *_ = records_of(path.spool, INSTANCE_RECEIVED)
        again = InstanceStored.model_validate(record)
        publish(path.amqp_url, topology([1], 1), [envelope(again, "life.again")])
        eventually(lambda: path.cube.control.counts()[again.path] + path.report_now(scu).repeated == 2)
        return path.report(scu)


def test_where_duplicates_are_let_through_a_second_registration_is_a_duplicate(untidy: WholePath) -> None:
    report = send_and_publish_one_again(untidy)
    assert list(report.registered.values()).count(2) == 1
    counts = counts_of(str(report))
    assert counts is not None
    assert (counts["duplicated"], counts["repeated"], counts["lost"]) == (1, 0, 0)
    with pytest.raises(AssertionError, match="duplicated 1"):
        report.check()


def test_where_cube_refuses_it_a_second_registration_is_a_repetition(untidy: WholePath) -> None:
    untidy.cube.refuse_duplicates()
    report = send_and_publish_one_again(untidy)
    counts = counts_of(str(report))
    assert counts is not None
    assert (counts["duplicated"], counts["repeated"], counts["lost"]) == (0, 1, 0)
    report.check()
