"""A connection to RabbitMQ for as long as one command runs."""

import getpass
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aio_pika.abc import AbstractConnection

from lapidicom.common.broker import connection


def operator() -> str:
    """Who is at work, as user@host; a container's user may have no name."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


@asynccontextmanager
async def connected(amqp_url: str, command: str) -> "AsyncIterator[AbstractConnection]":
    """Connect under a name that tells who does what, as RabbitMQ's management shows it.

    Args:
        amqp_url: with credentials.
        command: such as `dlq list`.

    Raises:
        BrokerError: there is no connection.
    """
    async with connection(amqp_url, f"lapidicom {command} {operator()}") as link:
        yield link
