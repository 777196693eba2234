"""What the demo asks RabbitMQ: whether the virtual host is free, and for dead letters."""

import asyncio

import aio_pika
from aiormq.exceptions import ChannelNotFoundEntity

from lapidicom.common.topology import DEAD_LETTER_QUEUE, WORK_QUEUE
from tests.support.existing_broker import remove_our_queues


def dead_letters(url: str) -> int:
    """Messages in the dead-letter queue; 0 if it does not exist."""
    return _depth(url, DEAD_LETTER_QUEUE) or 0


def in_use(url: str) -> str | None:
    """Why the queues of this virtual host are not the demo's to use; "" = empty; None = there are none."""
    work, dead = _depth(url, WORK_QUEUE), _depth(url, DEAD_LETTER_QUEUE)
    if work is None and dead is None:
        return None
    return f"{work or 0} messages, {dead or 0} dead letters" if work or dead else ""


def forget_queues(url: str) -> None:
    """Remove the queues and exchanges that the demo made."""
    remove_our_queues(url)


def _depth(url: str, queue: str) -> int | None:
    return asyncio.run(_ask(url, queue))


async def _ask(url: str, name: str) -> int | None:
    async with asyncio.timeout(20):
        connection = await aio_pika.connect(url, timeout=10)
        async with connection:
            channel = await connection.channel()
            try:
                queue = await channel.declare_queue(name, passive=True)
            except ChannelNotFoundEntity:
                return None
            return queue.declaration_result.message_count or 0
