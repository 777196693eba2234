"""One plain connection to RabbitMQ. Supervision is ours: aio-pika's robust one hides what was lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.exceptions import ConnectionClosed

from lapidicom.common.amqp_url import with_heartbeat
from lapidicom.common.broker.errors import (
    BrokerError,
    ConnectionLost,
    boundary,
    reply_of,
)
from lapidicom.common.broker.opening import Connection
from lapidicom.common.network_errors import describe_network_error

CALL_SECONDS = 10.0
"""For one call that the broker answers at once when it is well."""

CLOSE_SECONDS = 3.0


@asynccontextmanager
async def connection(
    amqp_url: str, name: str, *, seconds: float = CALL_SECONDS
) -> AsyncIterator[AbstractConnection]:
    """Connect; close at the end, whatever happened, without ever waiting long for a dead link.

    Args:
        amqp_url: with credentials.
        name: shown in RabbitMQ's management.
        seconds: for the connection to be made.

    Raises:
        ConnectionLost: no connection could be made; the text says why, in RabbitMQ's own words if it spoke.
    """
    try:
        async with boundary(seconds, ConnectionLost):
            link = await aio_pika.connect(
                with_heartbeat(amqp_url),
                client_properties={"connection_name": name},
                timeout=seconds,
                connection_class=Connection,
            )
    except ConnectionLost as error:
        raise ConnectionLost(_why_not_opened(error, amqp_url)) from error.__cause__
    try:
        yield link
    finally:
        with suppress(BrokerError):
            async with boundary(CLOSE_SECONDS, ConnectionLost):
                await link.close()


def _why_not_opened(error: ConnectionLost, amqp_url: str) -> str:
    cause = error.__cause__ or error
    if isinstance(cause, ConnectionClosed):
        return f"refused the connection: {reply_of(cause)}"
    return describe_network_error(cause, amqp_url)


async def open_channel(
    link: AbstractConnection, *, confirms: bool = False, seconds: float = CALL_SECONDS
) -> AbstractChannel:
    """Open a channel; with `confirms` every publish waits for the broker, and a return raises."""
    async with boundary(seconds, ConnectionLost):
        channel = link.channel(publisher_confirms=confirms, on_return_raises=confirms)
        await channel.initialize()
    return channel


async def is_blocked(link: AbstractConnection) -> bool:
    """Whether the broker has said that it takes no publishes now (memory or disk alarm)."""
    transport = link.transport
    if transport is None:
        return False
    try:
        async with asyncio.timeout(0.1):
            await transport.connection.ready()
    except TimeoutError:
        return not transport.connection.is_closed
    return False
