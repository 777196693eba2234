"""The lock of a queue that operators read: an exclusive queue, which vanishes with its connection.

Without it a second operator would see an empty queue: the first one holds all that is in it. (The
`exclusive` flag of basic.consume does not lock a quorum queue.)
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aio_pika.abc import AbstractConnection
from aiormq.abc import AbstractChannel
from aiormq.exceptions import ChannelLockedResource

from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.common.broker import BrokerError, ConnectionLost, Refused
from lapidicom.common.broker.connection import CALL_SECONDS, open_channel
from lapidicom.common.broker.errors import boundary
from lapidicom.common.topology import DEAD_LETTER_QUEUE

PATIENCE_SECONDS = 2.0
"""A look lasts a second or so: that long is waited for its end."""

AGAIN_SECONDS = 0.1


class Busy(OperatorError):
    """Another operator reads the queue."""

    def __init__(self, queue: str) -> None:
        is_audit = queue != DEAD_LETTER_QUEUE
        super().__init__(
            f"another operator is at {'the audit' if is_audit else 'the dead letters'}",
            "wait until that command has ended"
            + ("" if is_audit else "; `lapidicom audit` tells which act was begun last"),
            ExitStatus.BUSY,
        )


@asynccontextmanager
async def lock(
    link: AbstractConnection, queue: str = DEAD_LETTER_QUEUE, *, patience: float | None = None
) -> AsyncIterator[None]:
    """Be the only operator who reads a queue.

    Args:
        link: the connection on which it is read; if it ends, so does the lock.
        queue: to be read.
        patience: seconds to wait for another operator, PATIENCE_SECONDS by default.

    Raises:
        Busy: another operator has the lock.
        BrokerError: no connection, or no right to declare the lock's queue.
    """
    until = asyncio.get_running_loop().time() + (PATIENCE_SECONDS if patience is None else patience)
    while (channel := await _declare(link, lock_of(queue))) is None:
        if asyncio.get_running_loop().time() >= until:
            raise Busy(queue)
        await asyncio.sleep(AGAIN_SECONDS)
    try:
        yield
    finally:
        with suppress(BrokerError):
            async with boundary(CALL_SECONDS, ConnectionLost):
                await channel.queue_delete(lock_of(queue))
                await channel.close()


def lock_of(queue: str) -> str:
    """Name of the queue that is the lock."""
    return f"{queue}.lock"


async def _declare(link: AbstractConnection, name: str) -> AbstractChannel | None:
    """The channel that has declared the queue; None where another connection has it."""
    opened = await open_channel(link)
    channel = await opened.get_underlay_channel()
    try:
        async with boundary(CALL_SECONDS, ConnectionLost):
            await channel.queue_declare(name, exclusive=True, arguments={"x-queue-type": "classic"})
    except Refused as error:
        if isinstance(error.__cause__, ChannelLockedResource):
            return None
        raise
    return channel
