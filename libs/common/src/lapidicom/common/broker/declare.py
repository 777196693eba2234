"""Makes the topology exist: looks first (needs no configure right), declares what is missing."""

from collections.abc import Awaitable, Callable

from aio_pika.abc import AbstractConnection, ExchangeType
from aiormq.abc import AbstractChannel as AmqpChannel
from aiormq.exceptions import ChannelNotFoundEntity

from lapidicom.common.broker.connection import CALL_SECONDS, open_channel
from lapidicom.common.broker.errors import ConnectionLost, boundary
from lapidicom.common.topology import Queue, Topology

Step = Callable[[AmqpChannel, bool], Awaitable[object]]


async def declare(link: AbstractConnection, topology: Topology, *, seconds: float = CALL_SECONDS) -> None:
    """Make every exchange, queue and binding of the topology exist.

    Raises:
        Refused: something exists with other arguments, or a right is missing.
        ConnectionLost: the connection ended, or the broker does not answer.
    """
    channel = await _open(link, seconds)
    for step in (*map(_exchange, topology.exchanges), *map(_queue, topology.queues)):
        if not await _exists(channel, step, seconds):
            channel = await _open(link, seconds)  # the broker closed it with its 404
            async with boundary(seconds, ConnectionLost):
                await step(channel, False)
    for binding in topology.bindings:
        async with boundary(seconds, ConnectionLost):
            await channel.queue_bind(binding.queue, binding.exchange, binding.routing_key)
    async with boundary(seconds, ConnectionLost):
        await channel.close()


async def _open(link: AbstractConnection, seconds: float) -> AmqpChannel:
    channel = await open_channel(link, seconds=seconds)
    return await channel.get_underlay_channel()


async def _exists(channel: AmqpChannel, step: Step, seconds: float) -> bool:
    async with boundary(seconds, ConnectionLost):
        try:
            await step(channel, True)
        except ChannelNotFoundEntity:
            return False
    return True


def _exchange(name: str) -> Step:
    return lambda channel, passive: channel.exchange_declare(
        name, exchange_type=ExchangeType.TOPIC.value, durable=True, passive=passive
    )


def _queue(queue: Queue) -> Step:
    return lambda channel, passive: channel.queue_declare(
        queue.name, durable=True, passive=passive, arguments=dict(queue.arguments)
    )
