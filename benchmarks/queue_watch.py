"""The work queue as a benchmark needs it: how many messages wait, emptied, filled."""

import asyncio
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

from aio_pika.abc import AbstractChannel

from lapidicom.common.broker import Envelope, declare
from lapidicom.common.broker.connection import connection
from lapidicom.common.broker.publisher import open_publisher
from lapidicom.common.topology import WORK_QUEUE, topology

_POLL_SECONDS = 0.02
_MOST_IN_FLIGHT = 256
_TOPOLOGY = topology((5, 30, 120, 600), 30)  # of the delays as shipped


class QueueWatch:
    """The work queue of a virtual host, on a connection of its own. Used as a context.

    Args:
        url: AMQP URL of the virtual host, without a query; the topology is declared there.
    """

    def __init__(self, url: str) -> None:
        self._url = f"{url}?heartbeat=3600"  # nobody answers one between two calls
        self._runner = asyncio.Runner()
        self._stack: Any = None

    def __enter__(self) -> Self:
        self._channel = self._runner.run(self._open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self._link.__aexit__(kind, error, trace))
        self._runner.close()

    async def _open(self) -> AbstractChannel:
        self._link = connection(self._url, "bench")
        link = await self._link.__aenter__()
        await declare(link, _TOPOLOGY)
        self._publisher = await open_publisher(link, "bench", 60.0)
        return await link.channel()

    def ready(self) -> int:
        """How many messages wait in the work queue."""
        return self._runner.run(self._ready())

    def purge(self) -> None:
        """Empty the work queue."""
        self._runner.run(self._purge())

    def publish(self, envelopes: Iterable[Envelope]) -> None:
        """Publish, confirmed, many in flight."""
        self._runner.run(self._publish(envelopes))

    def wait_for(self, count: int, seconds: float) -> float | None:
        """Wait until so many messages wait; the monotonic time at which they did; None: not in time."""
        return poll(lambda: self.ready() >= count, seconds)

    async def _ready(self) -> int:
        queue = await self._channel.declare_queue(WORK_QUEUE, passive=True)
        return queue.declaration_result.message_count or 0

    async def _purge(self) -> None:
        queue = await self._channel.get_queue(WORK_QUEUE, ensure=False)
        await queue.purge()

    async def _publish(self, envelopes: Iterable[Envelope]) -> None:
        places = asyncio.Semaphore(_MOST_IN_FLIGHT)

        async def one(envelope: Envelope) -> None:
            async with places:
                await self._publisher.publish(envelope)

        await asyncio.gather(*map(one, envelopes))


def poll(condition: Callable[[], bool], seconds: float) -> float | None:
    """Ask until the condition holds; the monotonic time at which it did; None: it did not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return None
        time.sleep(_POLL_SECONDS)
    return time.monotonic()
