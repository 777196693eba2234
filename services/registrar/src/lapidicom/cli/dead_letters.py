"""The dead letters, looked at by one operator at a time: the lock, and a walk that begins at the oldest.

The lock is an exclusive queue, which vanishes with its connection. Without it a second operator would see an
empty queue: the first one holds all that is in it. (The `exclusive` flag of basic.consume does not lock a
quorum queue.)
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aio_pika.abc import AbstractConnection
from aiormq.abc import AbstractChannel
from aiormq.exceptions import ChannelLockedResource

from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.cli.letter import DeadLetter, read_letter
from lapidicom.cli.queues import SETTLE_POLL_SECONDS, SETTLE_SECONDS, Held, count, reading
from lapidicom.common.broker import BrokerError, ConnectionLost, Refused
from lapidicom.common.broker.connection import CALL_SECONDS, open_channel
from lapidicom.common.broker.errors import boundary
from lapidicom.common.topology import DEAD_LETTER_QUEUE

Letters = AsyncIterator[tuple[DeadLetter, Held]]
"""Each letter, and what holds it."""

PATIENCE_SECONDS = 2.0
"""A look lasts a second or so: that long is waited for its end."""

AGAIN_SECONDS = 0.1


class Busy(OperatorError):
    """Somebody else reads the dead letters."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what, remedy, ExitStatus.BUSY)


@asynccontextmanager
async def lock(
    link: AbstractConnection, queue: str = DEAD_LETTER_QUEUE, *, patience: float | None = None
) -> AsyncIterator[None]:
    """Be the only operator who reads the dead letters, for as long as the connection lives.

    Args:
        link: the connection on which they are read.
        queue: in which they are.
        patience: seconds to wait for another operator, PATIENCE_SECONDS by default.

    Raises:
        Busy: another operator has the lock.
        BrokerError: no connection, or no right to declare the lock's queue.
    """
    until = asyncio.get_running_loop().time() + (PATIENCE_SECONDS if patience is None else patience)
    while (channel := await _declare(link, f"{queue}.lock")) is None:
        if asyncio.get_running_loop().time() >= until:
            remedy = "wait until that command has ended; the audit log shows which act was begun last"
            raise Busy("another operator is at the dead letters", remedy)
        await asyncio.sleep(AGAIN_SECONDS)
    try:
        yield
    finally:
        with suppress(BrokerError):
            async with boundary(CALL_SECONDS, ConnectionLost):
                await channel.queue_delete(f"{queue}.lock")
                await channel.close()


@asynccontextmanager
async def walk(
    link: AbstractConnection, queue: str = DEAD_LETTER_QUEUE, *, most: int = 0
) -> AsyncIterator[Letters]:
    """Read every dead letter under the lock, oldest first; none is changed, lost or moved.

    Walks of more than some minutes are refused by RabbitMQ: gather what is needed and leave before asking
    an operator.

    Args:
        link: the connection that has the lock.
        queue: in which they are.
        most: letters that one consumer may hold; see `reading`.

    Raises:
        Busy: something else consumes them, and knows nothing of a lock.
        BrokerError: no connection, no such queue, or no right.
    """
    depth = await _depth_without_readers(link, queue)
    async with reading(link, queue, depth, most=most) as found:
        yield ((read_letter(held.body, held.properties), held) async for held in found)


@asynccontextmanager
async def look(
    link: AbstractConnection, queue: str = DEAD_LETTER_QUEUE, *, patience: float | None = None
) -> AsyncIterator[Letters]:
    """Lock, and walk. Arguments and errors are those of both."""
    async with lock(link, queue, patience=patience), walk(link, queue) as letters:
        yield letters


async def _depth_without_readers(link: AbstractConnection, queue: str) -> int:
    """The depth when nobody holds a message; a reader that was just killed is waited for."""
    until = asyncio.get_running_loop().time() + SETTLE_SECONDS
    while (found := await count(link, queue)) is not None and found.consumers:
        if asyncio.get_running_loop().time() >= until:
            what = f"something else consumes {queue} ({found.consumers} consumers)"
            raise Busy(what, "end it: while it reads, nobody else sees all messages")
        await asyncio.sleep(SETTLE_POLL_SECONDS)
    if found is None:
        raise Refused(f"there is no queue {queue}")
    return found.ready


async def _declare(link: AbstractConnection, name: str) -> AbstractChannel | None:
    """The channel that has declared a lock; None where another connection has it."""
    channel = await (await open_channel(link)).get_underlay_channel()
    try:
        async with boundary(CALL_SECONDS, ConnectionLost):
            await channel.queue_declare(name, exclusive=True, arguments={"x-queue-type": "classic"})
    except Refused as error:
        if isinstance(error.__cause__, ChannelLockedResource):
            return None
        raise
    return channel
