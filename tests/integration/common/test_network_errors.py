"""What real clients raise when they meet the wrong server, and the sentence that is made of it."""

import asyncio
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import aio_pika
import httpx
import pytest

from lapidicom.common.network_errors import describe_network_error
from tests.support.ports import free_port

Serve = Callable[[socket.socket], None]


def silent(peer: socket.socket) -> None:
    with suppress(OSError):
        while peer.recv(1000):
            pass


def says(answer: bytes) -> Serve:
    """Answers once the peer has said something, and reads on, so that nothing is reset."""

    def serve(peer: socket.socket) -> None:
        peer.recv(1000)
        peer.sendall(answer)
        peer.shutdown(socket.SHUT_WR)
        silent(peer)

    return serve


PLAIN_HTTP = says(b"HTTP/1.1 400 Bad Request\r\n\r\n")
PLAIN_AMQP = says(b"AMQP\0\0\x09\x01")


@pytest.fixture(scope="module")
def speaks_tls(tmp_path_factory: pytest.TempPathFactory) -> Serve:
    folder = tmp_path_factory.mktemp("certificate")
    key, certificate = folder / "key", folder / "certificate"
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=localhost",
        "-days",
        "1",
    ]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return _tls_with(key, certificate)


def _tls_with(key: Path, certificate: Path) -> Serve:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def serve(peer: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(peer, server_side=True) as wrapped:
            silent(wrapped)

    return serve


@contextmanager
def serving(serve: Serve) -> Iterator[int]:
    """A server on a port of its own, for one connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def one() -> None:
            with suppress(OSError), listening.accept()[0] as peer:
                serve(peer)

        thread = threading.Thread(target=one)
        thread.start()
        yield listening.getsockname()[1]
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def error_of(url: str, seconds: float) -> BaseException:
    async def by_http() -> None:
        async with httpx.AsyncClient(timeout=seconds, trust_env=False) as client:
            await client.get(url)

    async def by_amqp() -> None:
        async with asyncio.timeout(seconds):
            await aio_pika.connect(url)

    with pytest.raises(Exception) as caught:  # noqa: PT011 -- any may come
        asyncio.run(by_http() if url.startswith("http") else by_amqp())
    return caught.value


def sentence(url: str, seconds: float = 20) -> str:
    described = describe_network_error(error_of(url, seconds), url)
    where, _, reason = described.partition(": ")
    assert where == url.partition("//")[2].rpartition("@")[2].rstrip("/")
    assert "secret" not in described
    return reason


@pytest.mark.parametrize("scheme", ["http", "https", "amqp", "amqps"])
def test_a_port_on_which_nobody_listens(scheme: str) -> None:
    url = f"{scheme}://user:secret@127.0.0.1:{free_port()}/"
    assert sentence(url) == "connection refused: nothing listens there"


@pytest.mark.parametrize("scheme", ["http", "https", "amqp", "amqps"])
def test_a_host_name_that_nobody_knows(scheme: str) -> None:
    assert sentence(f"{scheme}://name.invalid:80/").startswith("the host name cannot be resolved (")


@pytest.mark.parametrize(("scheme", "serve"), [("https", PLAIN_HTTP), ("amqps", PLAIN_AMQP)])
def test_tls_to_a_port_without_it(scheme: str, serve: Serve) -> None:
    with serving(serve) as port:
        assert sentence(f"{scheme}://127.0.0.1:{port}/") == "no TLS there: a port without TLS?"


def test_tls_to_a_server_that_waits_for_the_rest_of_a_request() -> None:
    with serving(silent) as port:
        assert (
            sentence(f"https://127.0.0.1:{port}/", 0.3)
            == "no answer to the TLS handshake in time: a port without TLS?"
        )


@pytest.mark.parametrize("scheme", ["https", "amqps"])
def test_a_certificate_that_is_not_trusted(scheme: str, speaks_tls: Serve) -> None:
    with serving(speaks_tls) as port:
        assert (
            sentence(f"{scheme}://127.0.0.1:{port}/")
            == "its certificate is not accepted (self-signed certificate)"
        )


@pytest.mark.parametrize("scheme", ["http", "amqp"])
def test_a_server_that_does_not_answer(scheme: str) -> None:
    with serving(silent) as port:
        assert sentence(f"{scheme}://127.0.0.1:{port}/", 0.3) == "no answer in time"


@pytest.mark.parametrize(
    ("scheme", "serve", "reason"),
    [
        ("http", says(b"220 mail ESMTP\r\n\r\n"), "what answers there does not speak HTTP"),
        ("amqp", PLAIN_AMQP, "what answers there does not speak AMQP"),
        ("amqp", PLAIN_HTTP, "connection closed without an answer"),
        ("http", says(b""), "connection closed without an answer"),
    ],
)
def test_another_server_than_was_meant(scheme: str, serve: Serve, reason: str) -> None:
    with serving(serve) as port:
        assert sentence(f"{scheme}://127.0.0.1:{port}/") == reason
