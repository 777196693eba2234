"""What plain AMQP tells of a broker without changing anything.

Counts come from passive declarations. Rights are found out by requests that RabbitMQ must refuse for
their form: it looks at the right first, so that ACCESS_REFUSED means no, and any other refusal yes.
Nothing is declared, published, consumed or bound by them (tried on RabbitMQ 3.10).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import aiormq
from aio_pika.abc import AbstractConnection
from aiormq.abc import AbstractChannel as AmqpChannel
from aiormq.exceptions import (
    ChannelAccessRefused,
    ChannelClosed,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
)

from lapidicom.common.broker import BrokerError
from lapidicom.common.broker.connection import CALL_SECONDS, open_channel
from lapidicom.common.broker.errors import ConnectionLost, boundary
from lapidicom.common.topology import Queue

NO_SUCH_EXCHANGE: Final = "lapidicom.no-such-exchange"
"""Nobody declares it; a binding to it fails behind the look at the rights."""

_NEVER: Final = "never"


@dataclass(frozen=True, slots=True)
class Count:
    """What a passive declaration tells: messages that nobody holds, and consumers."""

    ready: int
    consumers: int


class Comparison(Enum):
    """How a queue or an exchange of the broker compares to its declaration."""

    EQUAL = "equal"
    DIFFERENT = "different"
    MISSING = "missing"
    REFUSED = "refused"
    """The user has no right to declare it, so that the broker does not compare."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison, and what the broker says about it: it names the first argument that differs."""

    comparison: Comparison
    told: str = ""


def version(link: "AbstractConnection") -> str:
    """The version that the broker told when the connection was made; empty if it told none."""
    transport = link.transport
    properties: dict[str, Any] = {} if transport is None else dict(transport.connection.server_properties)
    told = properties.get("version", "")
    return told.decode("ascii", "replace") if isinstance(told, bytes) else str(told)


async def count(link: "AbstractConnection", queue: str) -> Count | None:
    """Look at a queue; None if there is none of that name.

    Raises:
        BrokerError: the broker does not answer.
    """
    channel = await _channel(link)
    async with boundary(CALL_SECONDS, ConnectionLost):
        try:
            found = await channel.queue_declare(queue, passive=True)
        except ChannelNotFoundEntity:
            return None
        await channel.close()
    return Count(found.message_count or 0, found.consumer_count or 0)


async def compare_queue(link: "AbstractConnection", queue: Queue) -> Compared:
    """Compare a queue with its declaration, by declaring what exists once more.

    Raises:
        BrokerError: the broker does not answer.
    """
    return await _compare(
        link,
        lambda channel, passive: channel.queue_declare(
            queue.name, durable=True, passive=passive, arguments=dict(queue.arguments)
        ),
    )


async def compare_exchange(link: "AbstractConnection", exchange: str) -> Compared:
    """Compare an exchange with its declaration (topic, durable), likewise.

    Raises:
        BrokerError: the broker does not answer.
    """
    return await _compare(
        link,
        lambda channel, passive: channel.exchange_declare(
            exchange, exchange_type="topic", durable=True, passive=passive
        ),
    )


async def _compare(
    link: "AbstractConnection", declare: "Callable[[AmqpChannel, bool], Awaitable[object]]"
) -> Compared:
    """Passive first: an active declaration of what is missing would make it."""
    channel = await _channel(link)
    async with boundary(CALL_SECONDS, ConnectionLost):
        try:
            await declare(channel, True)
            await declare(channel, False)
        except ChannelNotFoundEntity:
            return Compared(Comparison.MISSING)
        except ChannelPreconditionFailed as error:
            return Compared(Comparison.DIFFERENT, _told(error))
        except ChannelAccessRefused as error:
            return Compared(Comparison.REFUSED, _told(error))
        await channel.close()
    return Compared(Comparison.EQUAL)


async def may_configure_queue(link: "AbstractConnection", queue: str) -> bool:
    """Whether the user may declare a queue of this name: asked with a life that no queue can have."""
    return await _is_permitted(
        link,
        lambda channel: channel.queue_declare(
            queue, durable=True, arguments={"x-queue-type": "quorum", "x-expires": -1}
        ),
    )


async def may_publish(link: "AbstractConnection", exchange: str) -> bool:
    """Whether the user may publish to an exchange: asked with an expiration that is no number."""
    properties = aiormq.spec.Basic.Properties(expiration=_NEVER)
    return await _is_permitted(
        link,
        lambda channel: channel.basic_publish(
            b"", exchange=exchange, routing_key=_NEVER, properties=properties, mandatory=True
        ),
    )


async def may_consume(link: "AbstractConnection", queue: str) -> bool:
    """Whether the user may read a queue: asked with a priority that is no number."""

    async def never(_: object) -> None:
        raise AssertionError("there is no consumer")

    return await _is_permitted(
        link, lambda channel: channel.basic_consume(queue, never, arguments={"x-priority": _NEVER})
    )


async def may_bind(link: "AbstractConnection", queue: str) -> bool:
    """Whether the user may bind a queue (write) to exchanges named `lapidicom...` (read)."""
    return await _is_permitted(link, lambda channel: channel.queue_bind(queue, NO_SUCH_EXCHANGE, _NEVER))


async def _is_permitted(
    link: "AbstractConnection", ask: "Callable[[AmqpChannel], Awaitable[object]]"
) -> bool:
    channel = await _channel(link, confirms=True)
    async with boundary(CALL_SECONDS, ConnectionLost):
        try:
            await ask(channel)
        except ChannelAccessRefused:
            return False
        except ChannelClosed:
            return True
    raise BrokerError("the broker did what it should have refused")


async def _channel(link: "AbstractConnection", *, confirms: bool = False) -> "AmqpChannel":
    return await (await open_channel(link, confirms=confirms)).get_underlay_channel()


def _told(error: Exception) -> str:
    """The broker's words without its code's name."""
    text = " ".join(str(part) for part in error.args if part is not None)
    return text.partition(" - ")[2] or text
