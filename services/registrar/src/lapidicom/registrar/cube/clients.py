"""The clients of one registrar: one for probes, then one for each worker; one token for all."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import httpx

from lapidicom.common.settings import CubeSection
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.http import HttpClient, MakeTransport
from lapidicom.registrar.cube.token import TokenAuth

ObserveTransport = Callable[[httpx.AsyncBaseTransport], httpx.AsyncBaseTransport]


@asynccontextmanager
async def clients(
    account: CubeSection,
    workers: int,
    *,
    connect_seconds: float,
    probe_seconds: float,
    read_seconds: float,
    transport: MakeTransport,
    observe: ObserveTransport,
) -> AsyncIterator[tuple[Cube, list[Cube]]]:
    """The client for probes, and those of the workers, for as long as the context is open.

    Args:
        account: CUBE's address, user and password.
        workers: how many.
        connect_seconds: for a connection.
        probe_seconds: for a whole request of the first one.
        read_seconds: for a whole request of a worker.
        transport: makes the connections of one client.
        observe: makes of each worker's transport the one that is used.
    """
    url = account.cube_url
    tls = ssl.create_default_context()
    async with AsyncExitStack() as stack:

        async def client(connections: httpx.AsyncBaseTransport, seconds: float) -> HttpClient:
            http = HttpClient(connections, connect_seconds=connect_seconds, seconds=seconds)
            return await stack.enter_async_context(http)

        common = await client(transport(tls), probe_seconds)
        of_workers = [await client(observe(transport(tls)), read_seconds) for _ in range(workers)]
        auth = TokenAuth(url, account.cube_username, account.cube_password.get_secret_value())
        yield Cube(common, url, auth), [Cube(http, url, auth) for http in of_workers]
