"""Puts messages of an export back into the dead letters, confirmed, exactly as they were."""

import asyncio
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from aio_pika.abc import AbstractConnection

from lapidicom.cli.dead_letters.export import Exported
from lapidicom.common.broker.connection import open_channel
from lapidicom.common.broker.errors import UnknownOutcome, boundary
from lapidicom.common.broker.publisher import PUBLISH_SECONDS
from lapidicom.common.topology import DEAD_LETTER_EXCHANGE

IN_FLIGHT = 200


async def put_back(
    link: AbstractConnection, messages: Iterable[Exported], on_stored: Callable[[int], None]
) -> None:
    """Publish to the dead-letter exchange.

    Two things of a message are left out, for RabbitMQ would act on them: an expiration, which would let the
    dead letter vanish, and a user id, which must be that of the connection.

    Args:
        link: of nobody else who publishes.
        messages: of an export.
        on_stored: hears of each batch that is stored.

    Raises:
        BrokerError: the broker takes no more; what was told to `on_stored` is stored.
    """
    opened = await open_channel(link, confirms=True)
    channel = await opened.get_underlay_channel()

    async def publish(message: Exported) -> None:
        properties = message.amqp()
        properties.expiration = properties.user_id = None
        async with boundary(PUBLISH_SECONDS, UnknownOutcome):
            await channel.basic_publish(
                message.body,
                exchange=DEAD_LETTER_EXCHANGE,
                routing_key=message.routing_key,
                properties=properties,
                mandatory=True,
            )

    upcoming = iter(messages)
    while batch := list(islice(upcoming, IN_FLIGHT)):
        for group in _with_different_ids(batch):
            results = await asyncio.gather(*map(publish, group), return_exceptions=True)
            on_stored(sum(result is None for result in results))
            for result in results:
                if result is not None:
                    raise result


def _with_different_ids(batch: Iterable[Exported]) -> Iterable[list[Exported]]:
    """Groups in which no message_id occurs twice: the client library mixes up returns of equal ids."""
    group: list[Exported] = []
    ids: set[Any] = set()
    for message in batch:
        name = message.properties.get("message_id")
        if name is not None and name in ids:
            yield group
            group, ids = [], set()
        group.append(message)
        ids.add(name)
    if group:
        yield group
