"""Publishes onward (retry, park, dead letter) for all workers; returns only once it is confirmed.

A connection of its own: a broker in alarm stops reading from connections that publish, and acks must
still get through. While RabbitMQ takes nothing, the caller waits and its delivery stays unacknowledged.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import structlog

from lapidicom.common.broker import BrokerError, Envelope, Publisher

log = structlog.get_logger(__name__)


class Onward:
    """One publisher, shared; replaced when it fails.

    Args:
        supply: yields a connected publisher each time the one before has failed.
    """

    def __init__(self, supply: AsyncGenerator[Publisher, None]) -> None:
        self._supply = supply
        self._publisher: Publisher | None = None
        self._changed = asyncio.Condition()

    @property
    def connected(self) -> bool:
        """Whether there is a publisher that has not failed."""
        return self._publisher is not None

    async def run(self) -> None:
        """Keep a publisher at hand; ends by cancellation only."""
        async with aclosing(self._supply) as supply:
            async for publisher in supply:
                await self._replace(publisher)
                watch = asyncio.create_task(self._discard_at_end(publisher))
                try:
                    async with self._changed:
                        await self._changed.wait_for(lambda: self._publisher is None)
                finally:
                    watch.cancel()

    async def publish(self, envelope: Envelope) -> None:
        """Publish until it is confirmed. A failed try may have arrived all the same: twice is right."""
        while True:
            publisher = await self._at_hand()
            try:
                await publisher.publish(envelope)
            except BrokerError as error:
                log.warning("onward_publish_failed", error=type(error).__name__, reason=str(error))
                await self._discard(publisher)
            else:
                return

    async def _at_hand(self) -> Publisher:
        while (publisher := self._publisher) is None:
            async with self._changed:
                await self._changed.wait_for(lambda: self._publisher is not None)
        return publisher

    async def _replace(self, publisher: Publisher | None) -> None:
        async with self._changed:
            self._publisher = publisher
            self._changed.notify_all()

    async def _discard(self, publisher: Publisher) -> None:
        if self._publisher is publisher:
            await self._replace(None)

    async def _discard_at_end(self, publisher: Publisher) -> None:
        await publisher.ended()
        await self._discard(publisher)
