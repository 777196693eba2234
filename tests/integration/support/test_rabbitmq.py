"""The private RabbitMQ node of the tests keeps what it promises."""

import asyncio
import os
from pathlib import Path

import aio_pika
import pytest

from tests.support.polling import eventually
from tests.support.queues import look
from tests.support.rabbitmq import Broker
from tests.support.rabbitmq_node import LocalBroker, server_script

needs_the_package = pytest.mark.skipif(server_script() is None, reason="RabbitMQ is not installed")

QUORUM = {"x-queue-type": "quorum"}


async def _publish_and_count(url: str) -> int:
    connection = await aio_pika.connect(url, timeout=10)
    async with connection, connection.channel() as channel:
        await channel.declare_queue("kept", durable=True, arguments=QUORUM)
        await channel.default_exchange.publish(
            aio_pika.Message(b"x", delivery_mode=aio_pika.DeliveryMode.PERSISTENT), "kept"
        )
        queue = await channel.declare_queue("kept", passive=True)
        return queue.declaration_result.message_count or 0


def test_each_test_gets_a_virtual_host_without_queues(broker: Broker) -> None:
    first, second = broker.fresh_vhost(), broker.fresh_vhost()
    assert first != second
    assert asyncio.run(_publish_and_count(broker.url(first))) == 1
    assert asyncio.run(_publish_and_count(broker.url(second))) == 1


def test_messages_survive_a_killed_node(own_broker: Broker) -> None:
    url = own_broker.url(own_broker.fresh_vhost())
    assert asyncio.run(_publish_and_count(url)) == 1
    own_broker.settled()
    own_broker.kill()
    with pytest.raises(ConnectionError):
        asyncio.run(_publish_and_count(url))
    own_broker.start()
    eventually(lambda: look(url, "kept").ready == 1, 60, what="the message is there again")


def test_a_paused_node_answers_when_it_is_resumed(own_broker: Broker) -> None:
    url = own_broker.url(own_broker.fresh_vhost())
    own_broker.pause()

    async def try_for_a_moment() -> None:
        async with asyncio.timeout(0.5):
            await aio_pika.connect(url)

    with pytest.raises(TimeoutError):
        asyncio.run(try_for_a_moment())
    own_broker.resume()
    assert asyncio.run(_publish_and_count(url)) == 1


@needs_the_package
def test_a_second_node_in_a_path_with_a_blank_makes_virtual_hosts_and_leaves_nothing_behind(
    broker: Broker, tmp_path: Path
) -> None:
    folder = tmp_path / "with a blank"
    with LocalBroker(1, folder) as node:
        assert node.port != broker.port
        pids = node.pids
        assert [node.fresh_vhost(), node.fresh_vhost()] == ["test-001", "test-002"]
        assert asyncio.run(_publish_and_count(node.url("test-002"))) == 1
    assert not folder.exists()
    eventually(lambda: not any(_runs(pid) for pid in pids), 10, what="node and port mapper end")


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
