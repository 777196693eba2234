"""Reads a quorum queue from its head without changing it: consume, cancel, close.

What is not acknowledged returns when the channels close, in its order, but behind what is ready then
(tried on RabbitMQ 3.10): whoever stops early takes the rest first, so that all of it returns. Nothing is
ever rejected or fetched one by one: both shuffle a quorum queue. A consumer that is full is cancelled,
and kept open, before the next one begins, so that each holds older messages than the one after it; they
close in the order in which they were opened.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, cast

from aio_pika.abc import AbstractConnection
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from pamqp.commands import Basic

from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.common.broker import BrokerError, ConnectionLost
from lapidicom.common.broker.connection import CALL_SECONDS, open_channel
from lapidicom.common.broker.errors import boundary

MOST_HELD = 2_000
"""Per consumer. RabbitMQ sends all of it at once, so this bounds the memory; 65,535 is the most it takes."""

SILENCE_SECONDS = 5.0
"""After so long without a message a queue has no more to give."""

ACK_SECONDS = 0.5
"""For acks sent behind a basic.cancel: RabbitMQ may lose those that a closing channel sent last."""

SETTLE_SECONDS = 5.0
"""For the messages of a reader that has ended to be back."""

SETTLE_POLL_SECONDS = 0.02


@dataclass(eq=False, slots=True)
class _Consumer:
    channel: Channel
    prefetch: int
    tag: str = ""
    unacknowledged: int = 0
    acked_after_cancel: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """One message in our hands; it stays in its queue unless it is acknowledged.

    Attributes:
        body: as it came.
        properties: AMQP's properties, headers included, as they came.
        exchange: to which it was published, or dead-lettered.
        routing_key: with which it came to its queue.
    """

    body: bytes
    properties: Basic.Properties
    exchange: str
    routing_key: str
    _consumer: _Consumer = field(repr=False)
    _tag: int = field(repr=False)

    @property
    def headers(self) -> Mapping[str, Any]:
        """All headers, the broker's included."""
        return self.properties.headers or {}

    async def ack(self, *, wait: bool = True) -> None:
        """Take it out of its queue.

        Args:
            wait: until it is on its way. Of many in a row only the last one needs to.

        Raises:
            ConnectionLost: the channel has ended; the message is still in its queue.
        """
        async with boundary(CALL_SECONDS, ConnectionLost):
            await self._consumer.channel.basic_ack(self._tag, wait=wait)
        self._consumer.unacknowledged -= 1
        self._consumer.acked_after_cancel |= not self._consumer.tag


class _Unforgotten(dict[str, Any]):
    """The consumers of a channel, which a cancel does not remove: one delivery more may come behind it."""

    def pop(self, tag: str, default: Any = None) -> Any:
        return self.get(tag, default)


class Reading:
    """Messages of one queue, oldest first: iterate over it once, for as many as there were at its start.

    Attributes:
        depth: how many were ready at the start.
        received: how many have come.
    """

    def __init__(
        self, link: AbstractConnection, queue: str, depth: int, prefetch: int, reserve: int, silence: float
    ) -> None:
        self.depth = depth
        self.received = 0
        self._link = link
        self._queue = queue
        self._prefetch = prefetch
        self._reserve = reserve
        self._silence = silence
        self._consumers: list[_Consumer] = []
        self._arrived: asyncio.Queue[Held | None] = asyncio.Queue()

    async def __aiter__(self) -> AsyncIterator[Held]:
        while self.received < self.depth:
            held = await self.next(self._silence)
            if held is None:
                return
            yield held

    async def next(self, seconds: float) -> Held | None:
        """The next message, also of those that came to the queue meanwhile; None after that much silence.

        Raises:
            BrokerError: the connection, the queue or the right to read it is gone.
        """
        if self._arrived.empty():
            if not self._consumers or self._is_full(self._consumers[-1]):
                await self._open()
            try:
                async with asyncio.timeout(seconds):
                    held = await self._arrived.get()
            except TimeoutError:
                return None
        else:
            held = self._arrived.get_nowait()
        if held is None:
            raise ConnectionLost(f"the consumer of {self._queue} has ended")
        self.received += 1
        return held

    @property
    def arrived(self) -> int:
        """How many have come to us, those included that nobody has asked for yet."""
        return self.received + self._arrived.qsize()

    def _is_full(self, consumer: _Consumer) -> bool:
        return consumer.unacknowledged + self._reserve >= consumer.prefetch

    async def _open(self) -> None:
        if self._consumers:
            await self._cancel(self._consumers[-1])
        opened = await open_channel(self._link)
        channel = cast(Channel, await opened.get_underlay_channel())
        channel.consumers = _Unforgotten(channel.consumers)
        channel.closing.add_done_callback(lambda _: self._arrived.put_nowait(None))
        channel.on_consumer_cancel_callbacks.add(lambda _: self._arrived.put_nowait(None))
        consumer = _Consumer(channel, self._prefetch)

        async def take(message: DeliveredMessage) -> None:
            consumer.unacknowledged += 1
            self._arrived.put_nowait(
                Held(
                    message.body,
                    message.header.properties,
                    message.exchange or "",
                    message.routing_key or "",
                    consumer,
                    message.delivery_tag or 0,
                )
            )

        self._consumers.append(consumer)
        async with boundary(CALL_SECONDS, ConnectionLost):
            await channel.basic_qos(prefetch_count=self._prefetch)
            consumer.tag = (await channel.basic_consume(self._queue, take)).consumer_tag or ""

    async def _cancel(self, consumer: _Consumer) -> None:
        tag, consumer.tag = consumer.tag, ""
        if tag:
            async with boundary(CALL_SECONDS, ConnectionLost):
                await consumer.channel.basic_cancel(tag)

    async def close(self) -> None:
        """Cancel, then close: acks are safe, and what was not acknowledged is at the head again."""
        with suppress(BrokerError):
            await self._take_the_rest()
            for consumer in self._consumers:
                await self._cancel(consumer)
            if any(consumer.acked_after_cancel for consumer in self._consumers):
                await asyncio.sleep(ACK_SECONDS)
            for consumer in self._consumers:
                before = await depth_of(self._link, self._queue)
                async with boundary(CALL_SECONDS, ConnectionLost):
                    await consumer.channel.close()
                await self._until_depth(before + consumer.unacknowledged)

    async def _take_the_rest(self) -> None:
        """Hold what nobody has asked for, too: RabbitMQ puts what returns behind what is ready."""
        while self._consumers and (not self._arrived.empty() or await depth_of(self._link, self._queue)):
            if await self.next(self._silence) is None:
                return

    async def _until_depth(self, depth: int) -> None:
        """The broker returns what a closed channel held a moment later.

        The next channel must not return its own before, and the next reader must see all.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + SETTLE_SECONDS
        while await depth_of(self._link, self._queue) < depth and loop.time() < until:
            await asyncio.sleep(SETTLE_POLL_SECONDS)


async def glance(link: AbstractConnection, queue: str) -> tuple[int, int]:
    """How many messages of a queue are ready, and how many consumers it has, by passive declare.

    Raises:
        Refused: the queue does not exist, or may not be seen.
        ConnectionLost: no answer.
    """
    channel = await open_channel(link)
    async with boundary(CALL_SECONDS, ConnectionLost):
        amqp = await channel.get_underlay_channel()
        found = await amqp.queue_declare(queue, passive=True)
        await channel.close()
    return found.message_count or 0, found.consumer_count or 0


async def depth_of(link: AbstractConnection, queue: str) -> int:
    """How many messages of a queue are ready; raises as `glance`."""
    depth, _ = await glance(link, queue)
    return depth


async def _depth_without_readers(link: AbstractConnection, queue: str) -> int:
    """The depth when nobody holds a message; a reader that was just killed is waited for."""
    loop = asyncio.get_running_loop()
    until = loop.time() + SETTLE_SECONDS
    while True:
        depth, consumers = await glance(link, queue)
        if not consumers:
            return depth
        if loop.time() >= until:
            raise OperatorError(
                f"something else consumes {queue} ({consumers} consumers)",
                "end it: while it reads, nobody else sees all messages",
                ExitStatus.BUSY,
            )
        await asyncio.sleep(SETTLE_POLL_SECONDS)


@asynccontextmanager
async def reading(
    link: AbstractConnection,
    queue: str,
    *,
    most: int | None = None,
    reserve: int = 0,
    silence: float = SILENCE_SECONDS,
) -> AsyncIterator[Reading]:
    """Read a queue from its head; whatever happens, what was not acknowledged is in it afterwards.

    Args:
        link: the connection; of nobody else who reads this queue.
        queue: to be read.
        most: messages that one consumer may hold, MOST_HELD by default; a further one opens behind it.
        reserve: of these, how many must be free for a consumer not to count as full.
        silence: seconds without a message after which there are no more.

    Raises:
        OperatorError: something else consumes it, and knows nothing of a lock.
        BrokerError: the queue does not exist, may not be read, or the connection ended.
    """
    depth = await _depth_without_readers(link, queue)
    held = MOST_HELD if most is None else most
    found = Reading(link, queue, depth, held if reserve else max(1, min(depth, held)), reserve, silence)
    try:
        yield found
    finally:
        await found.close()
