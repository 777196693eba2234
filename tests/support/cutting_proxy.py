"""A TCP proxy that cuts what it carries: by a reset, by an end, or by silence, at a byte or at once."""

import asyncio
import random
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Self
from urllib.parse import urlsplit, urlunsplit


class Way(StrEnum):
    """How both sides see the connection end."""

    RESET = auto()
    """RST."""
    END = auto()
    """FIN."""
    SILENCE = auto()
    """Not at all: nothing passes any more, and nobody is told, as when a cable is pulled."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What happens to a connection.

    Attributes:
        way: how it ends.
        after: bytes that it still carries, both directions together; the next one is not passed on.
    """

    way: Way
    after: int


def seeded_cuts(rng: random.Random, count: int, least: int, most: int) -> list[Cut]:
    """As many cuts, each way as often as the others, at random bytes from `least` to `most`."""
    ways = [list(Way)[number % len(Way)] for number in range(count)]
    rng.shuffle(ways)
    return [Cut(way, rng.randrange(least, most)) for way in ways]


class CuttingProxy:
    """Listens on 127.0.0.1 and carries each connection to the target, until it is cut.

    Args:
        host: of the target.
        port: of the target.
        cuts: of the connections to come, in their order; one that a connection ended before is the next's.
            Connections behind the last cut are carried to their end.
        listening: where it listens; without, at a free port.

    Attributes:
        port: where it listens.
        happened: the cuts that came about.
    """

    def __init__(self, host: str, port: int, cuts: Iterable[Cut] = (), *, listening: int = 0) -> None:
        self.port = listening
        self.happened: list[Cut] = []
        self._target = (host, port)
        self._cuts = deque(cuts)
        self._links: set[_Link] = set()

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cutting proxy", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def is_idle(self) -> bool:
        """Whether it carries no connection."""
        return not self._links

    def cut(self, way: Way) -> int:
        """Cut every connection that is open now, whatever was meant for it; returns how many."""

        async def cut_all() -> int:
            links = [link for link in self._links if not link.is_cut]
            for link in links:
                link.cut(Cut(way, 0))
            return len(links)

        return asyncio.run_coroutine_threadsafe(cut_all(), self._loop).result(10)

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        tasks = [link.task for link in self._links]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        cut = self._cuts.popleft() if self._cuts else None
        link = _Link(cut, self.happened, task)
        self._links.add(link)
        try:
            await link.serve(reader, writer, self._target)
        except asyncio.CancelledError:
            return  # we are closed
        finally:
            self._links.discard(link)
            if cut is not None and not link.is_cut:
                self._cuts.appendleft(cut)


class _Link:
    """Two connections that are one: the client's and the server's."""

    def __init__(self, cut: Cut | None, happened: list[Cut], task: asyncio.Task[None]) -> None:
        self.task = task
        self._way: Way | None = None
        self._cut = cut
        self._left = cut.after if cut else 0
        self._happened = happened
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def is_cut(self) -> bool:
        """Whether it was cut."""
        return self._way is not None

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: tuple[str, int]
    ) -> None:
        """Carry bytes both ways until both connections have ended."""
        self._writers = [writer]
        try:
            server_reader, server_writer = await asyncio.open_connection(*target)
            self._writers.append(server_writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, server_writer))
                group.create_task(self._pump(server_reader, writer))
        except* OSError:
            self._each(_reset)  # one side has gone without a FIN: so shall the other one see it
        finally:
            self._each(asyncio.StreamWriter.close)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            if self._way is Way.SILENCE:
                await asyncio.Event().wait()
            elif self._way is not None:
                continue  # read and dropped: bytes that nobody reads would make a FIN a reset
            elif self._cut is None or len(data) < self._left:
                self._left -= len(data)
                target.write(data)
                await target.drain()
            else:
                target.write(data[: self._left])
                self.cut(self._cut)
        if not self.is_cut:
            target.write_eof()

    def cut(self, cut: Cut) -> None:
        """Cut it now."""
        self._way = cut.way
        self._happened.append(cut)
        match cut.way:
            case Way.RESET:
                self._each(_reset)
            case Way.END:
                self._each(asyncio.StreamWriter.write_eof)
            case Way.SILENCE:
                pass  # the pumps stop by themselves

    def _each(self, what: Callable[[asyncio.StreamWriter], None]) -> None:
        for writer in self._writers:
            what(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Send RST, unless the peer has ended the connection already."""
    sock: socket.socket = writer.get_extra_info("socket")
    if sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def proxy_of(url: str, cuts: Iterable[Cut] = (), *, listening: int = 0) -> CuttingProxy:
    """A proxy to the host of a URL; AMQP's port where it names none."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    return CuttingProxy(parts.hostname, parts.port or 5672, cuts, listening=listening)


def through(url: str, port: int) -> str:
    """The same URL by way of a proxy at this port."""
    parts = urlsplit(url)
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    return urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{port}"))


def with_query(url: str, query: str) -> str:
    """The same URL with a query in the place of its own, such as heartbeat=1."""
    return urlunsplit(urlsplit(url)._replace(query=query))
