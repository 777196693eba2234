"""Publishing: persistent, mandatory, confirmed, bounded in time, on a connection of its own.

Messages go by aio-pika's exchange where that is instrumented, for the span of each publish; else by the
shorter way of `together`.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

import structlog
from aio_pika import DeliveryMode, Exchange, Message
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange
from aiormq.channel import Channel

from lapidicom.common.amqp_url import redacted
from lapidicom.common.broker.backoff import Backoff
from lapidicom.common.broker.connection import connection, is_blocked, open_channel
from lapidicom.common.broker.declare import declare
from lapidicom.common.broker.errors import BrokerError, UnknownOutcome, boundary
from lapidicom.common.broker.frames import Properties, publish_frames
from lapidicom.common.broker.together import PublishesTogether
from lapidicom.common.headers import HEADER_ID, HEADER_VERSION, Header, own_headers
from lapidicom.common.topology import Topology

log = structlog.get_logger(__name__)

PUBLISH_SECONDS = 10.0
CONTENT_TYPE = "application/json"
ALARM_POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message and where it goes. Its `message_id` is made anew for each publish.

    Attributes:
        exchange: name of the exchange.
        routing_key: key, at most 255 bytes.
        type: name of the message type.
        version: of the body's format.
        lapidicom_id: the stable id, made once per journal record.
        body: JSON.
        headers: further headers of our own; any `x-*` is left out.
    """

    exchange: str
    routing_key: str
    type: str
    version: int
    lapidicom_id: str
    body: bytes
    headers: Mapping[str, Header] = field(default_factory=lambda: MappingProxyType({}))


class Publisher:
    """Publishes on one connection; after a BrokerError ask `publishers` for the next one.

    Args:
        link: the connection.
        channel: in it, with confirms; nobody else publishes there.
        amqp: what is below that channel.
        app_id: of the messages.
        seconds: for one confirmed publish.
    """

    def __init__(
        self, link: AbstractConnection, channel: AbstractChannel, amqp: Channel, app_id: str, seconds: float
    ) -> None:
        self._link = link
        self._channel = channel
        self._amqp = amqp
        self._app_id = app_id
        self._seconds = seconds
        self._together = PublishesTogether(amqp)
        self._is_instrumented = hasattr(Exchange.publish, "__wrapped__")
        self._exchanges: dict[str, AbstractExchange] = {}
        self.confirmed = 0

    async def publish(self, envelope: Envelope) -> None:
        """Publish; returns once the broker has stored the message on its disks.

        Raises:
            Unroutable: no queue took it.
            Refused: the broker said no.
            UnknownOutcome: timed out or cut off; it may have been stored.
        """
        headers = {
            **own_headers(envelope.headers),
            HEADER_ID: envelope.lapidicom_id,
            HEADER_VERSION: envelope.version,
        }
        publish = self._by_exchange if self._is_instrumented else self._by_channel
        async with boundary(self._seconds, UnknownOutcome):
            await publish(envelope, headers)
        self.confirmed += 1

    async def _by_channel(self, envelope: Envelope, headers: Mapping[str, Header]) -> None:
        message_id = uuid.uuid4().hex
        properties = Properties(
            content_type=CONTENT_TYPE,
            headers=headers,
            message_id=message_id,
            timestamp=int(time.time()),
            type=envelope.type,
            app_id=self._app_id,
        )
        channel = self._amqp
        frames = publish_frames(
            channel.number,
            envelope.exchange,
            envelope.routing_key,
            properties,
            envelope.body,
            channel.max_content_size,
        )
        await self._together.publish(message_id, frames)

    async def _by_exchange(self, envelope: Envelope, headers: Mapping[str, Header]) -> None:
        exchange = self._exchanges.get(envelope.exchange)
        if exchange is None:
            exchange = await self._channel.get_exchange(envelope.exchange, ensure=False)
            self._exchanges[envelope.exchange] = exchange
        message = Message(
            envelope.body,
            headers=dict(headers),
            type=envelope.type,
            message_id=uuid.uuid4().hex,
            app_id=self._app_id,
            content_type=CONTENT_TYPE,
            timestamp=datetime.now(UTC),
            delivery_mode=DeliveryMode.PERSISTENT,
        )
        await exchange.publish(message, envelope.routing_key, mandatory=True)

    async def ended(self) -> None:
        """Wait until this publisher's channel or connection has closed."""
        await asyncio.wait([self._amqp.closing])

    async def is_blocked(self) -> bool:
        """Whether the broker takes no publishes now (memory or disk alarm)."""
        return await is_blocked(self._link)


async def open_publisher(
    link: AbstractConnection, app_id: str, seconds: float = PUBLISH_SECONDS
) -> Publisher:
    """Make a publisher, with a channel of its own.

    Args:
        link: a connection.
        app_id: of the messages.
        seconds: for one confirmed publish.

    Raises:
        BrokerError: there is no channel.
    """
    channel = await open_channel(link, confirms=True)
    amqp = await channel.get_underlay_channel()
    if not isinstance(amqp, Channel):
        raise TypeError(f"{type(amqp).__name__} is no channel of aiormq")
    return Publisher(link, channel, amqp, app_id, seconds)


async def publishers(
    amqp_url: str,
    topology: Topology,
    *,
    name: str,
    first_pause: float = 1.0,
    longest_pause: float = 30.0,
    publish_seconds: float = PUBLISH_SECONDS,
) -> AsyncGenerator[Publisher, None]:
    """Yield a connected publisher, for as long as it works; then, after a pause, the next one.

    The caller works with a publisher until it raises a BrokerError and then asks for the next.
    The topology is made to exist on each connection, so that a deleted queue comes back. While the
    broker holds an alarm no new connection is made: what was sent into an alarm may be stored when it
    ends, and each further try would be one more copy. Wrap in `contextlib.aclosing`.

        async with aclosing(publishers(url, topology, name="relay")) as supply:
            async for publisher in supply:
                try:
                    ...
                except BrokerError:
                    continue

    Args:
        amqp_url: with credentials.
        topology: what must exist.
        name: of the service: the connection's name and the messages' app_id.
        first_pause: seconds before the second connection.
        longest_pause: seconds; pauses double up to this.
        publish_seconds: for one confirmed publish.
    """
    backoff = Backoff(first_pause, longest_pause)
    while True:
        try:
            async with connection(amqp_url, f"{name} publisher") as link:
                await declare(link, topology)
                publisher = await open_publisher(link, name, publish_seconds)
                log.info("broker_publisher_connected", broker=redacted(amqp_url))
                yield publisher
                if publisher.confirmed:
                    backoff.reset()
                while await publisher.is_blocked():
                    log.warning("broker_blocks_publishing", broker=redacted(amqp_url))
                    await asyncio.sleep(ALARM_POLL_SECONDS)
        except BrokerError as error:
            log.warning("broker_publisher_not_connected", broker=redacted(amqp_url), reason=str(error))
        await asyncio.sleep(backoff.next())
