"""Publishes that are asked for at about the same time leave in one write, on a channel of aiormq.

aiormq's own basic_publish makes seven awaits and a system call of each message. What is kept of it is all
else: connection, heartbeat, returns, confirms, and what happens when any of these fails.
"""

import asyncio
from typing import Any

from aiormq.abc import ChannelFrame
from aiormq.channel import Channel
from aiormq.exceptions import ChannelInvalidStateError


class PublishesTogether:
    """The only one that publishes on its channel.

    Args:
        channel: with publisher confirms.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._waiting: list[tuple[str, bytes, asyncio.Future[Any]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def publish(self, message_id: str, frames: bytes) -> None:
        """Publish; returns once the broker has confirmed.

        Args:
            message_id: unique; a returned message is known by it.
            frames: of the message, for this channel.

        Raises:
            PublishError: the message was returned.
            DeliveryError: the broker refused it.
            ChannelInvalidStateError: the channel is closed.
        """
        if self._channel.is_closed:
            raise ChannelInvalidStateError("closed")
        confirmed = self._channel.create_future()
        self._waiting.append((message_id, frames, confirmed))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        await confirmed

    async def _write(self) -> None:
        """Write all that waits; what comes while the connection takes nothing leaves with the next write."""
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, []
                frames = [
                    self._numbered(message_id, frames, confirmed)
                    for message_id, frames, confirmed in waiting
                    if not confirmed.done()
                ]
                await self._channel.write_queue.put(ChannelFrame(b"".join(frames), should_close=False))
        finally:
            self._writing = None

    def _numbered(self, message_id: str, frames: bytes, confirmed: asyncio.Future[Any]) -> bytes:
        """Give the message its delivery tag, which the broker counts for itself."""
        channel = self._channel
        channel.delivery_tag += 1
        channel.confirmations[channel.delivery_tag] = confirmed
        channel.message_id_delivery_tag[message_id] = channel.delivery_tag
        confirmed.add_done_callback(lambda _: channel.message_id_delivery_tag.pop(message_id, None))
        return frames
