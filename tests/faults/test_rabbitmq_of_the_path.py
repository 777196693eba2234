"""RabbitMQ stopped, frozen, in alarm, its queue deleted, while SCUs send: they are served, none is lost."""

import asyncio
from pathlib import Path

import aio_pika
import pytest

from lapidicom.common.messages import InstanceStored
from lapidicom.common.topology import EXCHANGE, WORK_QUEUE
from tests.support.instances import Instance, instance
from tests.support.polling import eventually
from tests.support.queues import look
from tests.support.rabbitmq import Broker
from tests.support.registrar.__main__ import Options
from tests.support.seeds import is_large, rounds, seeded
from tests.support.whole_path import OBSERVER_QUEUE, WholePath

COUNT = 30
TIMEOUT = (
    "application:set_env(rabbit, consumer_timeout, {}), "
    "application:set_env(rabbit, channel_tick_interval, {})."
)
"""In milliseconds, and how often it is looked at; for channels that are opened later."""

ALARM = "rabbit_alarm:{}_alarm({})."
MEMORY = "{resource_limit, memory, node()}"


def instances(first: int = 1, count: int = COUNT) -> list[Instance]:
    return [instance(number, size=10_000) for number in range(first, first + count)]


@pytest.mark.parametrize("end", ["stop", "kill"] if is_large() else ["stop"])
def test_a_broker_that_ends_starts_and_freezes_is_never_noticed_by_an_scu(
    tmp_path: Path, own_broker: Broker, end: str
) -> None:
    url = own_broker.url(own_broker.fresh_vhost(), heartbeat=1)
    with WholePath(tmp_path, url) as path:
        registrar = path.registrar()
        path.cube.control.slow(0.02)
        scu = path.scu("BROKER_AWAY")
        with path.receiver() as receiver:
            own_broker.settled()
            scu.send(instances(1))  # on their way through the broker when it stops
            getattr(own_broker, end)()
            scu.send(instances(101))
            own_broker.start()
            receiver.wait_for("broker_publisher_connected", 60, count=2)
            scu.send(instances(201))
            own_broker.pause()
            scu.send(instances(301))
            assert set(scu.ledger.statuses()) == {0x0000}
            assert scu.ledger.sent == 4 * COUNT
            assert receiver.reasons() == []
            receiver.wait_for("relay_goes_back", 60, count=2)
            own_broker.resume()
            report = path.report(scu, seconds=60)
            report.check()
            assert len(report.registered) == 4 * COUNT
            assert report.dead_lettered == frozenset()
            assert receiver.events("not_ready") == []
        assert registrar.events("registration_retried") == []


def test_in_a_memory_alarm_scus_are_served_and_what_rabbitmq_holds_is_registered(
    tmp_path: Path, own_broker: Broker
) -> None:
    with WholePath(tmp_path, own_broker.url(own_broker.fresh_vhost())) as path:
        for number in rounds(1, 3):
            scu = path.scu(f"ALARM{number}")
            with path.receiver() as receiver:
                before = instances(1 + number * COUNT)
                scu.send(before)
                eventually(lambda: look(path.amqp_url, WORK_QUEUE).ready >= COUNT, 30)
                own_broker.ctl("eval", ALARM.format("set", f"{{{MEMORY}, []}}"))
                try:
                    scu.send(instances(101 + number * COUNT))
                    assert set(scu.ledger.statuses()) == {0x0000}
                    registrar = path.registrar(ready=False)
                    paths = {scu.path(one) for one in before}
                    eventually(lambda: path.cube.control.paths() >= paths, 60)  # noqa: B023
                    report = path.report_now(scu)
                    assert report.registered.keys() == paths
                    assert report.published == paths
                    assert receiver.reasons() == []
                    if is_large():  # a publish is given up after 10 s, and no other tried
                        receiver.wait_for("relay_goes_back", 60)
                        receiver.wait_for("broker_blocks_publishing", 60, count=3)
                finally:
                    own_broker.ctl("eval", ALARM.format("clear", MEMORY))
                report = path.report(scu, seconds=60)
                report.check()
                assert len(report.registered) == 2 * COUNT
                assert report.dead_lettered == frozenset()
                assert registrar.events("registration_retried") == []
                registrar.kill()


@pytest.mark.skipif(not is_large(), reason="only in the large form: twenty seconds")
def test_what_is_held_longer_than_rabbitmq_allows_comes_again_and_is_registered_once(
    tmp_path: Path, own_broker: Broker
) -> None:
    """RabbitMQ closes the channel then (consumer_timeout, half an hour; here a second)."""
    own_broker.ctl("eval", TIMEOUT.format(1_000, 500))
    try:
        with WholePath(tmp_path, own_broker.url(own_broker.fresh_vhost())) as path, path.receiver():
            registrar = path.registrar(Options(pace={"read": 60}))
            path.cube.control.hang()
            scu = path.scu("HELD")
            scu.send(instances())
            eventually(lambda: registrar.events("broker_consumer_lost"), 60)
            path.cube.control.heal()
            report = path.report(scu, seconds=60)
            report.check()
            assert len(report.registered) == COUNT
            assert report.dead_lettered == frozenset()
            assert registrar.events("registration_retried") == []
    finally:
        own_broker.ctl("eval", TIMEOUT.format(1_800_000, 60_000))


def test_a_work_queue_deleted_while_all_runs_is_made_anew_and_the_journal_can_fill_it_again(
    tmp_path: Path, amqp_url: str
) -> None:
    """What an operator deletes with the queue is gone from RabbitMQ; volume and journal still have it."""
    with WholePath(tmp_path, amqp_url) as path:
        registrar = path.registrar()
        # While another queue takes each message, RabbitMQ confirms it although the work queue is gone.
        asyncio.run(unbind(amqp_url, OBSERVER_QUEUE, InstanceStored.ROUTING_KEY))
        for number in rounds(1, 5):
            rng = seeded(f"deleted-{number}")
            scu = path.scu(f"DELETED{number}")
            with path.receiver() as receiver:
                path.cube.control.slow(0.05)
                scu.start(instances(1 + number * COUNT))
                wanted = rng.randrange(1, COUNT // 2)
                eventually(lambda: len(path.report_now(scu).registered) >= wanted, 60, every=0.001)  # noqa: B023
                consumed = len(registrar.events("consuming"))
                asyncio.run(delete(amqp_url, WORK_QUEUE))
                path.cube.control.heal()
                scu.join()
                eventually(lambda: len(registrar.events("consuming")) > consumed, 60)  # noqa: B023
                later = instances(10_001 + number * COUNT)
                scu.send(later)
                eventually(lambda: path.cube.control.paths() >= {scu.path(one) for one in later}, 60)  # noqa: B023
                assert set(scu.ledger.statuses()) == {0x0000}
                print(f"in the deleted queue: {len(path.report_now(scu).lost)}")
                receiver.kill_whole()
            for cursor in path.spool.glob("journals/2/*/cursor"):
                cursor.unlink()
            with path.receiver():
                report = path.report(scu, seconds=60)
                report.check()
                assert len(report.registered) == 2 * COUNT
                assert report.dead_lettered == frozenset()
        assert registrar.events("registration_retried") == []


async def unbind(url: str, queue: str, key: str) -> None:
    async with asyncio.timeout(30), await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await (await channel.get_queue(queue)).unbind(EXCHANGE, key)


async def delete(url: str, queue: str) -> None:
    async with asyncio.timeout(30), await aio_pika.connect(url) as connection:
        await (await connection.channel()).queue_delete(queue)
