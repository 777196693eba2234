"""Consuming one queue by callback, on a connection of its own; the end is always an exception.

An iterator over a queue waits for ever when the queue is deleted; a callback consumer is silent for
ever when the link is gone. So the end is looked for: the channel closes, the broker cancels the
consumer, or a passive declare shows that the queue has no consumer.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from aiormq.channel import Channel

from lapidicom.common.broker.connection import CALL_SECONDS, connection, open_channel
from lapidicom.common.broker.declare import declare
from lapidicom.common.broker.errors import BrokerError, ConnectionLost, boundary
from lapidicom.common.headers import HEADER_ID, HEADER_VERSION, Header, own_headers
from lapidicom.common.topology import Topology

LOOK_SECONDS = 30.0
"""Between two looks whether the queue still knows its consumer."""

ACK_SECONDS = 0.5
"""RabbitMQ may lose acks that a closing channel sent last. A basic.cancel behind them is a barrier;
where the consumer is cancelled already, this pause is one. A second consumer as a barrier would be
given messages, and their return would raise their delivery counts."""

LATE_SECONDS = 0.5
"""A quorum queue may deliver once more behind its answer to a cancel: for so long that is waited for."""


class Delivery:
    """One message in our hands. It ends by `ack`, or stays unacknowledged and comes back."""

    __slots__ = ("_consumer", "_message")

    def __init__(self, message: AbstractIncomingMessage, consumer: "Consumer") -> None:
        self._message = message
        self._consumer = consumer

    @property
    def body(self) -> bytes:
        """The body as it came."""
        return self._message.body

    @property
    def type(self) -> str:
        """The message type; empty if the publisher gave none."""
        return self._message.type or ""

    @property
    def version(self) -> int:
        """Version of the body's format; 0 if the publisher gave none."""
        version = self._message.headers.get(HEADER_VERSION)
        return version if isinstance(version, int) else 0

    @property
    def lapidicom_id(self) -> str:
        """The stable id; empty if the publisher gave none."""
        value = self._message.headers.get(HEADER_ID)
        return value if isinstance(value, str) else ""

    @property
    def headers(self) -> Mapping[str, Header]:
        """Headers of our own, fit to be published again."""
        return own_headers(self._message.headers)

    @property
    def count(self) -> int:
        """How often it was delivered before without an ack: here that counts crashes alone."""
        count = self._message.headers.get("x-delivery-count")
        return count if isinstance(count, int) else 0

    async def ack(self) -> None:
        """End the delivery: the message leaves the queue.

        Raises:
            ConnectionLost: the channel has ended; the message will be delivered again.
        """
        async with boundary(CALL_SECONDS, ConnectionLost):
            await self._message.ack()
        self._consumer.acked = True

    async def last(self) -> None:
        """Return when the consumer's callback may: at once, unless something observes the delivery."""


MakeDelivery = Callable[[AbstractIncomingMessage, "Consumer"], Delivery]


class _Unforgotten(dict[str, Any]):
    """The consumers of a channel, which a cancel does not remove.

    A quorum queue may deliver once more behind its cancel-ok. aiormq drops what has no consumer, and
    the message would come back with the count of a crash when the channel closes.
    """

    def pop(self, tag: str, default: Any = None) -> Any:
        return self.get(tag, default)


class Consumer:
    """A consumer of one queue: `deliveries` fills itself, `ended` raises when it will not any more.

    Attributes:
        queue: its name.
        deliveries: what has come and is in nobody's hands.
    """

    def __init__(
        self,
        link: AbstractConnection,
        queue: str,
        prefetch: int,
        look_seconds: float,
        make_delivery: MakeDelivery = Delivery,
    ) -> None:
        self.queue = queue
        self._link = link
        self._make_delivery = make_delivery
        self._prefetch = prefetch
        self._look_seconds = look_seconds
        self._channel: AbstractChannel | None = None
        self._tag: str | None = None
        self._closed = asyncio.Event()
        self.deliveries: asyncio.Queue[Delivery] = asyncio.Queue(prefetch)
        self.acked = False

    async def start(self) -> None:
        """Begin to consume.

        Raises:
            BrokerError: the broker does not let us.
        """
        channel = await open_channel(self._link)
        async with boundary(CALL_SECONDS, ConnectionLost):
            amqp = await channel.get_underlay_channel()
            amqp.closing.add_done_callback(lambda _: self._closed.set())
            aiormq_channel = cast(Channel, amqp)
            aiormq_channel.consumers = _Unforgotten(aiormq_channel.consumers)
            amqp.on_consumer_cancel_callbacks.add(lambda _: self._closed.set())
            await channel.set_qos(prefetch_count=self._prefetch)
            queue = await channel.get_queue(self.queue, ensure=False)
            self._channel = channel
            self._tag = await queue.consume(self._take)

    async def _take(self, message: AbstractIncomingMessage) -> None:
        # Never full: the broker sends no more than `prefetch` that are not acknowledged.
        delivery = self._make_delivery(message, self)
        self.deliveries.put_nowait(delivery)
        await delivery.last()

    async def ended(self) -> None:
        """Wait until nothing more can come; never returns.

        Raises:
            ConnectionLost: the channel closed, or the queue has no consumer.
            Refused: the queue is gone.
        """
        while True:
            try:
                async with asyncio.timeout(self._look_seconds):
                    await self._closed.wait()
            except TimeoutError:
                await self._look()
            else:
                raise ConnectionLost("the consumer has ended")

    async def _look(self) -> None:
        channel = await open_channel(self._link)
        async with boundary(CALL_SECONDS, ConnectionLost):
            queue = await channel.declare_queue(self.queue, passive=True)
            consumers = queue.declaration_result.consumer_count
            await channel.close()
        if not consumers and self._tag is not None:
            raise ConnectionLost("the queue knows no consumer")

    async def stop(self) -> None:
        """Take no more; what is in `deliveries` or in work stays ours until it is acknowledged."""
        tag, self._tag = self._tag, None
        if tag is None or self._channel is None:
            return
        async with boundary(CALL_SECONDS, ConnectionLost):
            queue = await self._channel.get_queue(self.queue, ensure=False)
            await queue.cancel(tag)
        await asyncio.sleep(LATE_SECONDS)
        self.acked = False

    async def settle(self) -> None:
        """Make sure that the broker has taken all acks; call it before the connection closes."""
        if self._tag is not None:
            await self.stop()
        elif self.acked and not self._closed.is_set():
            await asyncio.sleep(ACK_SECONDS)


@asynccontextmanager
async def consumer(
    amqp_url: str,
    topology: Topology,
    queue: str,
    *,
    name: str,
    prefetch: int,
    look_seconds: float = LOOK_SECONDS,
    make_delivery: MakeDelivery = Delivery,
) -> AsyncIterator[Consumer]:
    """Connect, make the topology exist, consume; at the end settle the acks and close.

    Args:
        amqp_url: with credentials.
        topology: what must exist.
        queue: to be consumed.
        name: of the service, for the connection's name.
        prefetch: deliveries that may be unacknowledged at once.
        look_seconds: between two looks whether the queue knows its consumer.
        make_delivery: makes a delivery of a message.

    Raises:
        BrokerError: no connection, or the broker refuses.
    """
    async with connection(amqp_url, f"{name} consumer") as link:
        await declare(link, topology)
        consuming = Consumer(link, queue, prefetch, look_seconds, make_delivery)
        await consuming.start()
        try:
            yield consuming
        finally:
            with suppress(BrokerError):
                await consuming.settle()
