"""Health over real HTTP, inside a running event loop."""

import asyncio
import json
import signal
import socket
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from lapidicom.common.health import serving
from lapidicom.common.listening_socket import listening_socket

T = TypeVar("T")


async def get(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, str]:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split()[1]), body


def with_health(
    reasons: Callable[[], list[str] | Awaitable[list[str]]], use: Callable[[int], Awaitable[T]]
) -> T:
    async def main() -> T:
        async with serving(0, reasons) as port:
            return await use(port)

    return asyncio.run(main())


def test_livez_answers_200_whether_ready_or_not() -> None:
    assert with_health(lambda: ["no volume"], lambda port: get(port, "/livez")) == (200, "ok\n")


def test_readyz_answers_200_without_reasons() -> None:
    status, body = with_health(list, lambda port: get(port, "/readyz"))
    assert (status, json.loads(body)) == (200, {"ready": True, "reasons": [], "degraded": []})


def test_readyz_answers_503_with_the_reasons() -> None:
    status, body = with_health(lambda: ["no volume", "no journal"], lambda port: get(port, "/readyz"))
    told = {"ready": False, "reasons": ["no volume", "no journal"], "degraded": []}
    assert (status, json.loads(body)) == (503, told)


def test_a_process_that_is_degraded_is_ready_and_says_so() -> None:
    async def main() -> tuple[int, str]:
        async with serving(0, list, lambda: ["volume: below its watermark"]) as port:
            return await get(port, "/readyz")

    status, body = asyncio.run(main())
    told = {"ready": True, "reasons": [], "degraded": ["volume: below its watermark"]}
    assert (status, json.loads(body)) == (200, told)


def test_the_reasons_may_be_asked_of_a_coroutine() -> None:
    async def reasons() -> list[str]:
        await asyncio.sleep(0)
        return ["away"]

    assert with_health(reasons, lambda port: get(port, "/readyz"))[0] == 503


def test_another_path_is_404() -> None:
    assert with_health(list, lambda port: get(port, "/"))[0] == 404


def test_signals_stay_with_the_process() -> None:
    before = signal.getsignal(signal.SIGTERM)

    async def look(_: int) -> object:
        await asyncio.sleep(0)
        return signal.getsignal(signal.SIGTERM)

    assert with_health(list, look) == before
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_taken_port_is_an_error_at_once() -> None:
    with listening_socket(0, backlog=1) as taken:
        port = taken.getsockname()[1]

        async def main() -> None:
            async with serving(port, list):
                pass

        with pytest.raises(OSError, match=r"[Aa]ddress"):
            asyncio.run(main())


def test_the_socket_is_closed_at_the_end_even_with_a_client_that_holds_its_connection() -> None:
    async def main() -> int:
        async with serving(0, list) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"ok\n")
        writer.close()
        return port

    port = asyncio.run(main())
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this host has no IPv6")
def test_one_socket_listens_on_both_ip_versions() -> None:
    async def both(port: int) -> list[int]:
        return [(await get(port, "/livez", host))[0] for host in ("127.0.0.1", "::1")]

    assert with_health(list, both) == [200, 200]


@pytest.mark.parametrize("sent", [b"", b"GET /livez HTTP/1.1\r\n", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_connections_that_are_kept_open_do_not_keep_a_probe_out(sent: bytes) -> None:
    async def probe(port: int) -> list[tuple[int, str]]:
        kept = []
        for _ in range(200):
            kept.append(await asyncio.open_connection("127.0.0.1", port))
            kept[-1][1].write(sent)
        answers = [await get(port, "/livez"), await get(port, "/readyz")]
        for _, writer in kept:
            writer.close()
        return answers

    assert [status for status, _ in with_health(list, probe)] == [200, 200]


def test_a_request_that_is_being_answered_outlives_silent_connections() -> None:
    async def main() -> tuple[int, str]:
        asked, told = asyncio.Event(), asyncio.Event()

        async def reasons() -> list[str]:
            asked.set()
            await told.wait()
            return []

        async with serving(0, reasons) as port:
            answer = asyncio.create_task(get(port, "/readyz"))
            await asked.wait()
            kept = [await asyncio.open_connection("127.0.0.1", port) for _ in range(200)]
            told.set()
            found = await answer
            for _, writer in kept:
                writer.close()
            return found

    assert asyncio.run(main())[0] == 200
