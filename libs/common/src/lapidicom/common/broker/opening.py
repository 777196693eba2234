"""A connection of aio-pika that, if RabbitMQ refuses it, fails with RabbitMQ's reply code and reply text.

Without it aiormq finds a Connection.Close where it expects another frame, and its error holds no more of
that than the object's address.
"""

import asyncio
from typing import Any

import aio_pika
import aiormq
from aio_pika.abc import UnderlayConnection
from aiormq import spec
from aiormq.exceptions import ConnectionClosed
from yarl import URL


class Connection(aio_pika.Connection):
    """Plain, without aio-pika's own supervision."""

    async def connect(self, timeout: float | None = None) -> None:
        """Open it.

        Raises:
            ConnectionClosed: RabbitMQ has refused it; the arguments are reply code and reply text.
        """
        self.transport = await _Transport.connect(
            self.url, self._on_connection_close, timeout=timeout, **self.kwargs
        )
        await self._on_connected()


class _Transport(UnderlayConnection):
    @classmethod
    async def make_connection(cls, url: URL, timeout: float | None = None, **kwargs: Any) -> "_Amqp":
        amqp = _Amqp(url, **kwargs)
        await asyncio.wait_for(amqp.connect(), timeout)
        await amqp.ready()
        return amqp


class _Amqp(aiormq.Connection):
    @staticmethod
    async def _rpc(request: Any, writer: Any, frame_receiver: Any, wait_response: bool = True) -> Any:
        frames: Any = _Frames(frame_receiver)
        return await aiormq.Connection._rpc(request, writer, frames, wait_response)


class _Frames:
    """The frames that come while a connection is opened; a Connection.Close is raised."""

    def __init__(self, receiver: Any) -> None:
        self._receiver = receiver

    async def get_frame(self) -> Any:
        received = await self._receiver.get_frame()
        if isinstance(received[2], spec.Connection.Close):
            raise ConnectionClosed(received[2].reply_code, received[2].reply_text)
        return received
