"""A server with CUBE's routes that does nothing: it answers at once, or a few at a time after a fixed time.

    python -m benchmarks.bare_cube --port 8000 [--workers 4 --seconds 0.014 --basic-seconds 0.384 --close]

GET /_posts answers when each registration was answered, in seconds of the monotonic clock, and forgets it.
"""

import argparse
import asyncio
import json
import re
import time
from typing import Final, cast

import uvloop

API: Final = "/api/v1/"
_HEAD_END: Final = b"\r\n\r\n"
_HOME: Final = json.dumps({"collection_links": {"pacsfiles": f"{API}pacsfiles/"}}).encode()
_INSTANCE: Final = json.dumps({"url": f"{API}chrisinstance/1/", "uuid": "4bbb3f0c"}).encode()
_NO_FIELDS: Final = b'{"path":["This field is required."]}'
_PATH: Final = re.compile(rb'"path": ?("[^"]*")')
_TOKEN: Final = b'{"token":"0123456789abcdef0123456789abcdef01234567"}'


class Server:
    """What all connections share.

    Args:
        workers: how many registrations are served at a time; None: at once.
        seconds: that a registration takes one of them, with a token.
        basic_seconds: the same with basic authentication, which checks a password hash.
        close: the connection is closed after each answer.
    """

    def __init__(self, workers: int | None, seconds: float, basic_seconds: float, *, close: bool) -> None:
        self.posts: list[float] = []
        self.places = asyncio.Semaphore(workers) if workers else None
        self.seconds = seconds
        self.basic_seconds = basic_seconds
        self.close = close
        closing = b"Connection: close\r\n" if close else b""
        self._head = b"Content-Type: application/json\r\n" + closing + b"Content-Length: %d\r\n\r\n"

    def answer(self, status: bytes, body: bytes) -> bytes:
        """Encode an answer."""
        return b"HTTP/1.1 " + status + b"\r\n" + self._head % len(body) + body


class Connection(asyncio.Protocol):
    """One connection: requests one after the other."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._received = b""
        self._tasks: set[asyncio.Task[None]] = set()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own, which is none by its class

    def data_received(self, data: bytes) -> None:
        """Answer each request that is complete."""
        self._received += data
        while (end := self._received.find(_HEAD_END)) >= 0:
            head = self._received[:end]
            length = 0
            at = head.lower().find(b"content-length:")
            if at >= 0:
                length = int(head[at + 15 :].split(b"\r\n", 1)[0])
            whole = end + len(_HEAD_END) + length
            if len(self._received) < whole:
                return
            body = self._received[end + len(_HEAD_END) : whole]
            self._received = self._received[whole:]
            self._serve(head, body)

    def _serve(self, head: bytes, body: bytes) -> None:
        method, target, _ = head.split(b"\r\n", 1)[0].split(b" ")
        server, path = self._server, target.decode()
        if (method, path) == (b"POST", f"{API}pacsfiles/"):
            registered = _PATH.search(body)
            if registered is None:
                self._send(b"400 Bad Request", _NO_FIELDS)
            elif server.places is None:
                self._register(registered[1])
            else:
                task = asyncio.create_task(self._register_in_turn(server.places, head, registered[1]))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        elif path == f"{API}auth-token/":
            self._send(b"200 OK", _TOKEN)
        elif path == "/_posts":
            self._send(b"200 OK", json.dumps(server.posts).encode())
            server.posts = []
        else:
            self._send(b"200 OK", _HOME if path == API else _INSTANCE)

    async def _register_in_turn(self, places: asyncio.Semaphore, head: bytes, path: bytes) -> None:
        basic = b"\r\nauthorization: basic " in head.lower()
        async with places:
            await asyncio.sleep(self._server.basic_seconds if basic else self._server.seconds)
        self._register(path)

    def _register(self, path: bytes) -> None:
        self._server.posts.append(time.monotonic())
        self._send(b"201 Created", b'{"id":1,"fname":' + path + b"}")

    def _send(self, status: bytes, body: bytes) -> None:
        self._transport.write(self._server.answer(status, body))
        if self._server.close:
            self._transport.close()


async def serve(port: int, server: Server) -> None:
    """Serve on a port of the loopback interface until the process is killed."""
    listening = await asyncio.get_running_loop().create_server(lambda: Connection(server), "127.0.0.1", port)
    async with listening:
        await listening.serve_forever()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--basic-seconds", type=float, default=0.0)
    parser.add_argument("--close", action="store_true")
    options = parser.parse_args()

    async def start() -> None:
        await serve(
            options.port,
            Server(options.workers, options.seconds, options.basic_seconds, close=options.close),
        )

    uvloop.run(start())


if __name__ == "__main__":
    main()
