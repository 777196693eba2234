"""CUBE's client against servers that are none: real sockets, answers byte by byte as the test gives them."""

import asyncio
import gzip
import json
import ssl
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.contract import MOST_OF_AN_ANSWER, PACS_FILES
from lapidicom.registrar.cube.http import HttpClient, transport_to_cube
from lapidicom.registrar.cube.outcomes import Outcome, Question, Verdict, judge
from lapidicom.registrar.cube.replies import Answer, Fault, NoAnswer
from lapidicom.registrar.cube.token import TokenAuth

PATH = "SERVICES/PACS/SYN/1.dcm"
TOKEN = "0123456789abcdef"
REGISTERED = json.dumps({"id": 1, "fname": PATH}).encode()

Respond = Callable[[asyncio.StreamWriter], Awaitable[None]]


def whole(body: bytes, headers: str = "", status: str = "201 Created") -> Respond:
    """A whole answer with this body, and the connection stays open."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}"

    async def respond(writer: asyncio.StreamWriter) -> None:
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()

    return respond


async def endless(writer: asyncio.StreamWriter) -> None:
    """An answer that begins as CUBE's and never ends."""
    writer.write(b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n\r\n" + REGISTERED)
    while True:
        writer.write(b" " * 65536)
        await writer.drain()


class Server:
    """Gives tokens, and one response after the other to registrations; the last one again and again."""

    def __init__(self, *responses: Respond) -> None:
        self.responses = list(responses)
        self.requests: list[str] = []
        self.ends: list[asyncio.Future[None]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end = asyncio.get_running_loop().create_future()
        self.ends.append(end)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(line for line in head.lower().splitlines() if line.startswith("content-length"))
                await reader.readexactly(int(length.split(":")[1]))
                self.requests.append(head)
                if "/auth-token/" in head:
                    await whole(json.dumps({"token": TOKEN}).encode(), status="200 OK")(writer)
                else:
                    respond = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
                    await respond(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            end.set_result(None)
        finally:
            writer.close()


@asynccontextmanager
async def cube_at(server: Server, user: str = "", seconds: float = 30.0) -> AsyncIterator[Cube]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    url = f"http://{user}127.0.0.1:{listening.sockets[0].getsockname()[1]}/api/v1/"
    transport = transport_to_cube(ssl.create_default_context())
    async with listening:
        async with HttpClient(transport, connect_seconds=5, seconds=seconds) as http:
            yield Cube(http, url, TokenAuth(url, "chris", "chris1234"))
        await asyncio.gather(*server.ends)


def test_a_longer_answer_than_cube_gives_is_not_cubes() -> None:
    async def test() -> None:
        padded = REGISTERED + b" " * MOST_OF_AN_ANSWER
        server = Server(whole(padded), whole(REGISTERED.ljust(MOST_OF_AN_ANSWER)))
        async with cube_at(server) as cube:
            longer = await cube.register(b"{}")
            assert isinstance(longer, Answer)
            assert len(longer.body) == MOST_OF_AN_ANSWER
            assert judge(longer, PATH) is Question.IS_CUBE_WELL
            longest = judge(await cube.register(b"{}"), PATH)
            assert isinstance(longest, Verdict)
            assert longest.outcome is Outcome.REGISTERED

    asyncio.run(test())


def test_an_endless_answer_is_cut_off_without_being_held_in_memory() -> None:
    async def test() -> None:
        server = Server(endless, whole(REGISTERED))
        async with cube_at(server) as cube:
            tracemalloc.start()
            try:
                reply = await cube.register(b"{}")
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert isinstance(reply, Answer)
            assert judge(reply, PATH) is Question.IS_CUBE_WELL
            assert peak < 8 * MOST_OF_AN_ANSWER
            await server.ends[-1]
            again = judge(await cube.register(b"{}"), PATH)
            assert isinstance(again, Verdict)
            assert again.outcome is Outcome.REGISTERED

    asyncio.run(test())


def test_an_answer_that_is_compressed_unasked_is_not_unpacked() -> None:
    async def test() -> None:
        bomb = gzip.compress(REGISTERED.ljust(64 * MOST_OF_AN_ANSWER))
        server = Server(whole(bomb, "Content-Encoding: gzip\r\n"))
        async with cube_at(server) as cube:
            reply = await cube.register(b"{}")
        assert isinstance(reply, Answer)
        assert reply.body == bomb
        assert judge(reply, PATH) is Question.IS_CUBE_WELL
        assert "accept-encoding: identity\r\n" in server.requests[-1].lower()

    asyncio.run(test())


def test_an_answer_that_does_not_end_in_time_is_none() -> None:
    async def dripping(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)

    async def test() -> None:
        server = Server(dripping)
        async with cube_at(server, seconds=0.5) as cube:
            reply = await cube.register(b"{}")
            assert isinstance(reply, NoAnswer)
            assert reply.fault is Fault.NO_ANSWER
            await server.ends[-1]

    asyncio.run(test())


def test_registrations_of_one_worker_share_a_connection() -> None:
    async def test() -> None:
        server = Server(whole(REGISTERED))
        async with cube_at(server) as cube:
            for _ in range(10):
                assert isinstance(await cube.register(b"{}"), Answer)
            assert len(server.ends) == 1

    asyncio.run(test())


@pytest.mark.parametrize("user", ["", "other:secret@"])
def test_neither_environment_nor_netrc_nor_url_replaces_the_token(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, user: str
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async def test() -> None:
        server = Server(whole(REGISTERED))
        async with cube_at(server, user) as cube:
            assert isinstance(await cube.register(b"{}"), Answer)
        login, post = server.requests
        assert "authorization" not in login.lower()
        assert f"POST /api/v1/{PACS_FILES} HTTP/1.1" in post
        assert f"Authorization: Token {TOKEN}\r\n" in post

    asyncio.run(test())
