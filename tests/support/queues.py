"""Looks into RabbitMQ from outside: how many wait, and what is in a queue."""

import asyncio
from collections.abc import Iterable
from contextlib import aclosing

import aio_pika
from aio_pika.abc import AbstractIncomingMessage
from pydantic import BaseModel

from lapidicom.common.broker import Envelope, publishers
from lapidicom.common.broker.declare import declare
from lapidicom.common.messages import InstanceStored, SeriesReceived
from lapidicom.common.topology import EXCHANGE, Topology


class QueueLook(BaseModel):
    """What passive declare tells."""

    ready: int
    consumers: int


def look(url: str, queue: str) -> QueueLook:
    """Messages ready and consumers of a queue; it must exist."""

    async def ask() -> QueueLook:
        async with asyncio.timeout(20), await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            found = (await channel.declare_queue(queue, passive=True)).declaration_result
            return QueueLook(ready=found.message_count or 0, consumers=found.consumer_count or 0)

    return asyncio.run(ask())


def take_all(url: str, queue: str) -> list[AbstractIncomingMessage]:
    """Take every message out of a queue. Only for a queue that nobody else reads."""

    async def take() -> list[AbstractIncomingMessage]:
        async with asyncio.timeout(300), await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            source = await channel.get_queue(queue)
            taken: list[AbstractIncomingMessage] = []
            # Without acknowledgements: a closing channel may lose those that were sent last.
            while (message := await source.get(no_ack=True, fail=False)) is not None:
                taken.append(message)
            return taken

    return asyncio.run(take())


def purge(url: str, *queues: str) -> None:
    """Empty queues that nobody else reads."""

    async def empty() -> None:
        async with asyncio.timeout(20), await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            for queue in queues:
                await (await channel.get_queue(queue)).purge()

    asyncio.run(empty())


def bind(
    url: str, topology: Topology, queue: str, messages: Iterable[type[InstanceStored | SeriesReceived]]
) -> None:
    """Let an empty queue of the test's own get copies of these messages; makes the topology exist first."""

    async def declare_and_bind() -> None:
        async with asyncio.timeout(20), await aio_pika.connect(url) as connection:
            await declare(connection, topology)
            channel = await connection.channel()
            await channel.queue_delete(queue)  # where AMQP_URL names a virtual host that is used again
            made = await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": "quorum"})
            for message in messages:
                await made.bind(EXCHANGE, message.ROUTING_KEY)

    asyncio.run(declare_and_bind())


def publish(url: str, topology: Topology, envelopes: Iterable[Envelope]) -> None:
    """Publish, confirmed; makes the topology exist first."""

    async def send() -> None:
        async with aclosing(publishers(url, topology, name="test")) as supply:
            async for publisher in supply:
                await asyncio.gather(*map(publisher.publish, envelopes))
                return

    asyncio.run(send())


def envelope(message: InstanceStored | SeriesReceived, lapidicom_id: str) -> Envelope:
    """As a relay publishes it."""
    return Envelope(
        EXCHANGE,
        message.ROUTING_KEY,
        message.TYPE,
        message.VERSION,
        lapidicom_id,
        message.model_dump_json().encode(),
    )
