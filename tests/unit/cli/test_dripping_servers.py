"""Whoever answers a byte now and then does not hold up a command."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from lapidicom.cli import by_http
from lapidicom.cli.answers import Check, NotVisible, Result
from lapidicom.cli.settings import CommandSettings
from lapidicom.common.settings import load


@contextlib.asynccontextmanager
async def dripping() -> AsyncIterator[str]:
    """A server whose answer never ends, though each byte of it comes in time."""

    over, ended = asyncio.Event(), asyncio.Event()

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        with contextlib.suppress(OSError):
            while not over.is_set():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        ended.set()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        over.set()
        await ended.wait()
        server.close()


def test_the_management_api_has_one_deadline_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def settings(url: str) -> CommandSettings:
        return load(CommandSettings, {"AMQP_URL": "amqp://127.0.0.1/", "AMQP_MANAGEMENT_URL": url})

    async def main() -> object:
        async with (
            asyncio.timeout(60),
            dripping() as url,
            by_http.management(settings(url)) as api,
        ):
            return await api.alarms()

    monkeypatch.setattr(by_http, "SECONDS", 0.5)
    answer = asyncio.run(main())
    assert isinstance(answer, NotVisible)
    assert "no answer" in answer.reason


def test_a_service_has_one_deadline_for_its_readiness(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> list[Check]:
        async with asyncio.timeout(60), dripping() as url:
            return await by_http.ask_services("receivers", [url])

    monkeypatch.setattr(by_http, "SECONDS", 0.5)
    checks = asyncio.run(main())
    assert [check.result for check in checks] == [Result.FAIL]
    assert "no answer" in checks[0].seen
