"""Publishing for one command: confirmed and mandatory, on a connection of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lapidicom.cli.connection import connected
from lapidicom.common.broker import Publisher
from lapidicom.common.broker.publisher import open_publisher

APP_ID = "lapidicom"


@asynccontextmanager
async def publishing(amqp_url: str, command: str) -> AsyncIterator[Publisher]:
    """A publisher for as long as the block lasts.

    A connection apart from the one that reads: a broker in alarm stops reading from connections that
    publish, and acknowledgements must still get through.

    Args:
        amqp_url: with credentials.
        command: such as `dlq replay`.

    Raises:
        BrokerError: there is no connection.
    """
    async with connected(amqp_url, command) as link:
        yield await open_publisher(link, APP_ID)
