"""Publishing: persistent, mandatory, confirmed, bounded in time, on a connection of its own."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

import structlog
from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange

from lapidicom.common.broker.backoff import Backoff
from lapidicom.common.broker.connection import connection, is_blocked, open_channel
from lapidicom.common.broker.declare import declare
from lapidicom.common.broker.errors import BrokerError, UnknownOutcome, boundary
from lapidicom.common.broker.url import redacted
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
    """Publishes on one connection; after a BrokerError ask `publishers` for the next one."""

    def __init__(
        self, link: AbstractConnection, channel: AbstractChannel, app_id: str, seconds: float
    ) -> None:
        self._link = link
        self._channel = channel
        self._app_id = app_id
        self._seconds = seconds
        self._exchanges: dict[str, AbstractExchange] = {}
        self.confirmed = 0

    async def publish(self, envelope: Envelope) -> None:
        """Publish; returns once the broker has stored the message on its disks.

        Raises:
            Unroutable: no queue took it.
            Refused: the broker said no.
            UnknownOutcome: timed out or cut off; it may have been stored.
        """
        exchange = self._exchanges.get(envelope.exchange)
        if exchange is None:
            exchange = await self._channel.get_exchange(envelope.exchange, ensure=False)
            self._exchanges[envelope.exchange] = exchange
        message = Message(
            envelope.body,
            headers={
                **own_headers(envelope.headers),
                HEADER_ID: envelope.lapidicom_id,
                HEADER_VERSION: envelope.version,
            },
            type=envelope.type,
            message_id=uuid.uuid4().hex,
            app_id=self._app_id,
            content_type=CONTENT_TYPE,
            timestamp=datetime.now(UTC),
            delivery_mode=DeliveryMode.PERSISTENT,
        )
        async with boundary(self._seconds, UnknownOutcome):
            await exchange.publish(message, envelope.routing_key, mandatory=True)
        self.confirmed += 1

    async def ended(self) -> None:
        """Wait until this publisher's channel or connection has closed."""
        channel = await self._channel.get_underlay_channel()
        await asyncio.wait([channel.closing])

    async def is_blocked(self) -> bool:
        """Whether the broker takes no publishes now (memory or disk alarm)."""
        return await is_blocked(self._link)


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
                channel = await open_channel(link, confirms=True)
                publisher = Publisher(link, channel, name, publish_seconds)
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
