"""A look at the dead letters, or a walk through them: under the lock, oldest first."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aio_pika.abc import AbstractConnection

from lapidicom.cli.dead_letters.lock import lock
from lapidicom.cli.dead_letters.reading import Reading, reading
from lapidicom.common.topology import DEAD_LETTER_QUEUE


@asynccontextmanager
async def look(link: AbstractConnection, *, patience: float | None = None) -> AsyncIterator[Reading]:
    """Look at every dead letter, oldest first; none is changed, lost or moved.

        async with look(link) as letters:
            async for held in letters:
                ...

    A body is held only as long as the caller holds it. Looks of more than some minutes are refused by
    RabbitMQ: gather what is needed and leave before asking an operator.

    Raises:
        Busy: another operator is at them.
        BrokerError: no connection, no such queue, or no right.
    """
    async with lock(link, patience=patience), reading(link, DEAD_LETTER_QUEUE) as letters:
        yield letters
