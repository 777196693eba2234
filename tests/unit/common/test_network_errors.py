"""The sentence about a network error: from the cause that says most, with nothing but host and port."""

import errno
import socket
import ssl

import pytest

from lapidicom.common.network_errors import describe_network_error

TWO_ADDRESSES = OSError(
    "Multiple exceptions: [Errno 113] Connect call failed ('::1', 1, 0, 0), [Errno 113] Connect call failed "
    "('127.0.0.1', 1)"
)


class ConnectTimeout(Exception):
    """As httpx calls it."""


class ReadTimeout(Exception):
    """As httpx calls it."""


class RemoteProtocolError(Exception):
    """As httpx calls it."""


def caused_by(error: Exception, *causes: BaseException) -> Exception:
    link: BaseException = error
    for cause in causes:
        link.__cause__ = cause
        link = cause
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "connection refused: nothing listens there"),
        (OSError(errno.EHOSTUNREACH, "Connect call failed ('10.0.0.1', 1)"), "no route to host"),
        (TWO_ADDRESSES, "no route to host"),
        (
            ExceptionGroup(
                "all", [OSError(errno.EHOSTUNREACH, ""), ConnectionRefusedError(errno.ECONNREFUSED, "")]
            ),
            "connection refused: nothing listens there",
        ),
        (
            socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
            "the host name cannot be resolved (Temporary failure in name resolution)",
        ),
        (ConnectTimeout(), "no connection in time: a firewall, or a host that is down?"),
        (
            caused_by(ConnectTimeout(), TimeoutError(), ssl.SSLWantReadError(2, "")),
            "no answer to the TLS handshake in time: a port without TLS?",
        ),
        (caused_by(ReadTimeout(), TimeoutError(), ssl.SSLWantReadError(2, "")), "no answer in time"),
        (TimeoutError(), "no answer in time"),
        (ssl.SSLEOFError(8, ""), "connection closed in the TLS handshake: a port without TLS?"),
        (ssl.SSLError(1, "x"), "TLS failed (SSLError)"),
        (EOFError(), "connection closed without an answer"),
        (RemoteProtocolError("illegal status line"), "what answers there does not speak HTTP"),
        (
            RemoteProtocolError("Server disconnected without sending a response."),
            "connection closed without an answer",
        ),
        (KeyError("secret"), "KeyError"),
    ],
)
def test_the_cause_that_says_most_is_told(error: Exception, reason: str) -> None:
    for raised in (error, caused_by(RuntimeError("secret"), error)):
        wanted = "RuntimeError" if reason == "KeyError" and raised is not error else reason
        assert describe_network_error(raised, "https://cube:8000/api/?secret") == f"cube:8000: {wanted}"


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("http://cube/api/v1/", "cube:80"),
        ("https://chris:secret@cube/api/v1/", "cube:443"),
        ("amqp://lapidicom:secret@rabbit/vhost", "rabbit:5672"),
        ("amqps://rabbit:5673", "rabbit:5673"),
        ("http://[::1]:8000/", "[::1]:8000"),
        ("http://cube:port/", "?"),
    ],
)
def test_where_is_host_and_port_alone(url: str, where: str) -> None:
    assert describe_network_error(TimeoutError(), url) == f"{where}: no answer in time"


def test_a_chain_that_turns_back_on_itself_ends() -> None:
    first, second = ValueError(), KeyError()
    first.__cause__, second.__context__ = second, first
    assert describe_network_error(first, "http://cube/") == "cube:80: ValueError"
