"""Queues of RabbitMQ: how many messages they hold, and how one is read from its head without changing it.

A quorum queue is read by consume, cancel, close. What is not acknowledged returns when the channels close,
in its order, but behind what is ready then (tried on RabbitMQ 3.10): whoever stops early takes the rest
first, so that all of it returns. Nothing is ever rejected or fetched one by one: both shuffle a quorum
queue. A consumer that is full is cancelled, and kept open, before the next one begins, so that each holds
older messages than the one after it; they close in the order in which they were opened.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final, NamedTuple, cast

from aio_pika.abc import AbstractConnection
from aiormq.abc import ChannelFrame, DeliveredMessage
from aiormq.channel import Channel
from aiormq.exceptions import ChannelInvalidStateError, ChannelNotFoundEntity
from pamqp.commands import Basic

from lapidicom.common.broker import BrokerError, ConnectionLost
from lapidicom.common.broker.connection import CALL_SECONDS, open_channel
from lapidicom.common.broker.errors import boundary
from lapidicom.common.topology import WORK_QUEUE, delay_queue

FORMER_QUEUES: Final = {
    "lapidicom.audit": "its lines are now in LAPIDICOM_AUDIT_LOG: keep them with "
    "`lapidicom dlq export audit.jsonl --queue lapidicom.audit`, then "
    "`rabbitmqctl delete_queue lapidicom.audit`",
    "lapidicom.replays": "nothing reads it any more: `rabbitmqctl delete_queue lapidicom.replays`",
}
"""Queues that earlier versions declared, which can be exported, and what to do about them."""

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
    tag: str = ""
    unacknowledged: int = 0
    acked_after_cancel: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """One message in our hands, as it came; it stays in its queue unless it is acknowledged."""

    body: bytes
    properties: Basic.Properties
    routing_key: str
    _consumer: _Consumer = field(repr=False)
    _tag: int = field(repr=False)


async def acknowledge(messages: Iterable[Held]) -> None:
    """Take messages out of their queue, by one write for each consumer.

    Raises:
        ConnectionLost: the channel has ended; the messages are still in their queue.
    """
    for consumer, held in groupby(messages, key=lambda one: one._consumer):
        channel, acks = consumer.channel, [Basic.Ack(one._tag) for one in held]
        async with boundary(CALL_SECONDS, ConnectionLost):
            if channel.is_closed:
                raise ChannelInvalidStateError("closed")
            await channel.write_queue.put(ChannelFrame.marshall(channel.number, acks))
        consumer.unacknowledged -= len(acks)
        consumer.acked_after_cancel |= not consumer.tag


class _Unforgotten(dict[str, Any]):
    """The consumers of a channel, which a cancel does not remove: one delivery more may come behind it."""

    def pop(self, tag: str, default: Any = None) -> Any:
        return self.get(tag, default)


@dataclass
class Reading:
    """Messages of one queue, oldest first: iterate over it once, for as many as there were at its start.

    Attributes:
        depth: how many were ready at the start.
        received: how many have come.
        is_silent: nothing came for SILENCE_SECONDS.
    """

    depth: int
    _link: AbstractConnection
    _queue: str
    _prefetch: int
    _reserve: int
    received: int = 0
    is_silent: bool = False
    _consumers: list[_Consumer] = field(default_factory=list)
    _arrived: asyncio.Queue[Held | None] = field(default_factory=asyncio.Queue)

    async def __aiter__(self) -> AsyncIterator[Held]:
        while self.received < self.depth:
            held = await self.next()
            if held is None:
                return
            yield held

    async def next(self) -> Held | None:
        """The next message, also of those that came to the queue meanwhile; None after SILENCE_SECONDS.

        Raises:
            BrokerError: the connection, the queue or the right to read it is gone.
        """
        is_full = not self._consumers or self._consumers[-1].unacknowledged + self._reserve >= self._prefetch
        if is_full and self._arrived.empty():
            await self._open()
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                held = await self._arrived.get()
        except TimeoutError:
            self.is_silent = True
            return None
        if held is None:
            raise ConnectionLost(f"the consumer of {self._queue} has ended")
        self.received += 1
        return held

    @property
    def arrived(self) -> int:
        """How many have come to us, those included that nobody has asked for yet."""
        return self.received + self._arrived.qsize()

    async def _open(self) -> None:
        if self._consumers:
            await self._cancel(self._consumers[-1])
        opened = await open_channel(self._link)
        channel = cast(Channel, await opened.get_underlay_channel())
        channel.consumers = _Unforgotten(channel.consumers)
        channel.closing.add_done_callback(lambda _: self._arrived.put_nowait(None))
        channel.on_consumer_cancel_callbacks.add(lambda _: self._arrived.put_nowait(None))
        consumer = _Consumer(channel)

        async def take(message: DeliveredMessage) -> None:
            consumer.unacknowledged += 1
            properties, tag = message.header.properties, message.delivery_tag or 0
            self._arrived.put_nowait(Held(message.body, properties, message.routing_key or "", consumer, tag))

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
                before = await ready(self._link, self._queue)
                async with boundary(CALL_SECONDS, ConnectionLost):
                    await consumer.channel.close()
                await self._until_depth(before + consumer.unacknowledged)

    async def _take_the_rest(self) -> None:
        """Hold what nobody has asked for, too: RabbitMQ puts what returns behind what is ready."""
        while self._consumers and (not self._arrived.empty() or await ready(self._link, self._queue)):
            if await self.next() is None:
                return

    async def _until_depth(self, depth: int) -> None:
        """The broker returns what a closed channel held a moment later.

        The next channel must not return its own before, and the next reader must see all.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + SETTLE_SECONDS
        while await ready(self._link, self._queue) < depth and loop.time() < until:
            await asyncio.sleep(SETTLE_POLL_SECONDS)


@asynccontextmanager
async def reading(
    link: AbstractConnection, queue: str, depth: int, *, most: int = 0
) -> AsyncIterator[Reading]:
    """Read a queue from its head; whatever happens, what was not acknowledged is in it afterwards.

    Args:
        link: the connection; of nobody else who reads this queue.
        queue: to be read.
        depth: messages to read.
        most: messages that one consumer may hold, where some are acknowledged on the way: a further one opens
            behind it when it holds half of them. By default all that there are, up to MOST_HELD.

    Raises:
        BrokerError: the queue does not exist, may not be read, or the connection ended.
    """
    found = Reading(depth, link, queue, most or max(1, min(depth, MOST_HELD)), most // 2)
    try:
        yield found
    finally:
        await found.close()


class Count(NamedTuple):
    """What a passive declaration tells: messages that nobody holds, and consumers."""

    ready: int
    consumers: int


async def count(link: AbstractConnection, queue: str) -> Count | None:
    """Look at a queue; None if there is none of that name.

    Raises:
        BrokerError: the broker does not answer, or the queue may not be seen.
    """
    channel = await (await open_channel(link)).get_underlay_channel()
    async with boundary(CALL_SECONDS, ConnectionLost):
        try:
            found = await channel.queue_declare(queue, passive=True)
        except ChannelNotFoundEntity:
            return None
        await channel.close()
    return Count(found.message_count or 0, found.consumer_count or 0)


async def ready(link: AbstractConnection, queue: str) -> int:
    """How many messages nobody holds; a queue that does not exist holds none. Raises as `count`."""
    found = await count(link, queue)
    return 0 if found is None else found.ready


@dataclass(frozen=True, slots=True)
class Waiting:
    """Messages in work queue and delay queues that nobody holds: none that a registrar has in its hands."""

    work: int
    delayed: int

    @property
    def total(self) -> int:
        """All together."""
        return self.work + self.delayed


async def waiting(link: AbstractConnection, delays: Iterable[int]) -> Waiting:
    """Count what waits; a queue that does not exist holds nothing.

    The delay queues, given by their seconds, come first: what expires meanwhile is seen in the work queue.
    """
    delayed = [await ready(link, delay_queue(seconds)) for seconds in sorted(set(delays))]
    return Waiting(await ready(link, WORK_QUEUE), sum(delayed))


def broker_version(link: AbstractConnection) -> str:
    """The broker's version, from the beginning of the connection; empty if it gave none."""
    transport = link.transport
    properties: Mapping[str, Any] = {} if transport is None else transport.connection.server_properties
    version = properties.get("version", "")
    return version.decode("ascii", "replace") if isinstance(version, bytes) else str(version)
