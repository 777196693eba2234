"""Counts of a series that comes: a real receiver, and a real NATS server that is frozen at times."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lapidicom.common.lonk import subject_of
from lapidicom.common.topology import WORK_QUEUE
from tests.support.byte_scu import ByteSCU
from tests.support.instances import Instance, instance
from tests.support.nats_server import NatsServer, Subscriber
from tests.support.polling import eventually
from tests.support.queues import look
from tests.support.receiver import Receiver


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with NatsServer() as server:
        yield server


@pytest.fixture
def receiver(server: NatsServer, tmp_path: Path, amqp_url: str) -> Iterator[Receiver]:
    with Receiver(tmp_path, amqp_url, CHRIS_NATS_URL=server.url) as receiver:
        yield receiver


def store(receiver: Receiver, sent: list[Instance]) -> None:
    with ByteSCU(receiver.scp_port) as scu:
        scu.associate_for(*sent, calling="PACS 1")
        assert {scu.store(one).status for one in sent} == {0x0000}
        scu.release()


def subject(sent: list[Instance]) -> str:
    return subject_of("PACS_1", str(sent[0].tags.SeriesInstanceUID))


def test_counts_of_a_series_reach_cube_and_a_frozen_server_holds_up_nothing(
    server: NatsServer, receiver: Receiver, amqp_url: str
) -> None:
    first, second = ([instance(number, series=series) for number in range(40)] for series in (1, 2))
    with Subscriber(server.url) as seen:
        receiver.wait_for("nats_connected")
        store(receiver, first)
        eventually(lambda: seen.counts(subject(first))[-1:] == [40], what="the last count")
        assert seen.counts(subject(first)) == sorted(set(seen.counts(subject(first))))

        server.pause()
        store(receiver, second)
        # Forty instances and a SeriesReceived of each series.
        eventually(lambda: look(amqp_url, WORK_QUEUE).ready == 82, what="all messages")
        receiver.wait_for("nats_away")
        assert receiver.reasons() == []
        server.resume()
        eventually(lambda: seen.counts(subject(second))[-1:] == [40], what="the last count, sent later")

    server.pause()
    assert receiver.stop() == 0
    assert not receiver.events("child_killed")
