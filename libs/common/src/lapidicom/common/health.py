"""Health: /livez and /readyz, served by a task of the process's own event loop.

/livez answers 200 as long as the event loop turns and asks nothing outside the process. /readyz
answers 200, or 503 with the reasons, as JSON: {"ready": false, "reasons": ["..."], "degraded": ["..."]}.
What is degraded leaves the process ready: no other process would do better.
"""

import asyncio
import inspect
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from lapidicom.common.listening_socket import listening_socket

Reasons = Callable[[], Sequence[str] | Awaitable[Sequence[str]]]
"""Sentences without patient data; an empty sequence means that nothing is wrong."""

_BACKLOG: Final = 64
_MOST_CONNECTIONS: Final = 64
_SHUTDOWN_SECONDS: Final = 1


def application(reasons: Reasons, degraded: Reasons = tuple) -> Starlette:
    """The ASGI application, for a server or a test."""

    async def livez(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        hindrances, remarks = await _given(reasons), await _given(degraded)
        return JSONResponse(
            {"ready": not hindrances, "reasons": hindrances, "degraded": remarks},
            status_code=503 if hindrances else 200,
        )

    return Starlette(routes=[Route("/livez", livez), Route("/readyz", readyz)])


async def _given(reasons: Reasons) -> list[str]:
    given = reasons()
    return list(await given if inspect.isawaitable(given) else given)


@asynccontextmanager
async def serving(port: int, reasons: Reasons, degraded: Reasons = tuple) -> AsyncIterator[int]:
    """Serve health inside the running loop while the context is open; yields the bound port.

    Args:
        port: TCP port on every address; 0 takes a free one.
        reasons: why the process is not ready; asked at each /readyz.
        degraded: what is wrong although the process is ready; asked likewise.

    Raises:
        OSError: the port cannot be bound.
    """
    bound = listening_socket(port, backlog=_BACKLOG)
    server = _Server(_config(application(reasons, degraded)))
    task = asyncio.create_task(server.serve(sockets=[bound]), name="health")
    try:
        await _until_started(server, task)
        yield _port(bound)
    finally:
        server.should_exit = True
        await task


async def _until_started(server: "_Server", task: asyncio.Task[None]) -> None:
    started = asyncio.create_task(server.has_started.wait())
    await asyncio.wait({task, started}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        started.cancel()
        await task


def _port(bound: socket.socket) -> int:
    port: int = bound.getsockname()[1]
    return port


def _config(app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_Connection,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )


class _Connection(H11Protocol):
    """A connection that is closed for a newer one when there are too many.

    Uvicorn's own limit would answer 503 to the newcomer: whoever opens connections and sends nothing
    would have the process restarted by its orchestrator.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = self.loop.time()
        others = [
            one
            for one in self.connections  # a closed one is among them until the loop's next turn
            if isinstance(one, _Connection) and one is not self and not one.transport.is_closing()
        ]
        if len(others) >= _MOST_CONNECTIONS:
            min(others, key=lambda one: (one._is_answering(), one._since)).transport.abort()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete


class _Server(uvicorn.Server):
    """Uvicorn that leaves signals to the process and tells when it serves."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.has_started = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.has_started.set()
