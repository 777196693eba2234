"""A RabbitMQ that is already there (AMQP_URL): our queues are removed before each test."""

import asyncio

import aio_pika

from lapidicom.common.topology import DEAD_LETTER_EXCHANGE, EXCHANGE, topology

DELAYS = (*range(1, 61), 120, 300, 600)
"""Seconds of the delay queues that tests may have left: AMQP cannot list queues."""


def remove_our_queues(url: str) -> None:
    """Delete every queue and exchange of lapidicom's topology in the vhost of `url`."""
    asyncio.run(_remove(url))


async def _remove(url: str) -> None:
    names = [queue.name for queue in topology(DELAYS, DELAYS[-1]).queues]
    async with asyncio.timeout(60):
        connection = await aio_pika.connect(url, timeout=10)
        async with connection, connection.channel() as channel:
            for name in names:
                await channel.queue_delete(name)
            for exchange in (EXCHANGE, DEAD_LETTER_EXCHANGE):
                await channel.exchange_delete(exchange)
