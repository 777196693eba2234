"""Why a server could not be reached, as one sentence: what failed, at which host and port.

For exceptions of any client (httpx, aiormq, asyncio): what they say themselves is often no more than
their name, while the reason is the OSError along their chain of causes. Pure; imports no client.
"""

import errno
import os
import re
import socket
import ssl
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

_PORTS: Final = {"http": 80, "https": 443, "amqp": 5672, "amqps": 5671, "nats": 4222, "tls": 4222}
_ERRNO: Final = re.compile(r"\[Errno (\d+)\]")

_WAITING: Final = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""No failures: where TLS stood when the time was up."""

_NO_TLS: Final = frozenset(
    {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST"}
)
"""How OpenSSL calls an answer that is no TLS."""


def describe_network_error(error: BaseException, url: str) -> str:
    """The sentence for a request or a connection that failed.

    It holds host and port of the URL and nothing else of it: no user, password, path or query; and
    nothing that the other side sent. An answer that was understood is no network error.

    Args:
        error: what the client raised, such as httpx.ConnectError; its causes are looked at.
        url: of the server, with its scheme: http, https, amqp or amqps.

    Returns:
        Such as `cube:8000: connection refused: nothing listens there` or
        `rabbit:5671: no TLS there: a port without TLS?`.
    """
    return f"{server_of(url)}: {_reason(list(_chain(error)), url.partition(':')[0])}"


def server_of(url: str) -> str:
    """Host and port of a URL, and nothing else of it; the scheme's own port where it names none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "?", parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return "?"
    return f"{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and what led to it, each once, in no order that matters."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        if isinstance(link, BaseExceptionGroup):
            waiting.extend(link.exceptions)
        waiting += [link.__context__, link.__cause__]


def _reason(chain: list[BaseException], scheme: str) -> str:
    """The first cause that says most."""
    names = [type(error).__name__ for error in chain]
    numbers = [number for error in chain if (number := _errno(error))]
    is_timeout = any("Timeout" in name for name in names)
    for error in chain:
        if isinstance(error, ssl.SSLError) and not isinstance(error, _WAITING):
            return _of_tls(error)
        if isinstance(error, socket.gaierror):
            return f"the host name cannot be resolved ({error.strerror})"
    if errno.ECONNREFUSED in numbers:
        return "connection refused: nothing listens there"
    if is_timeout and any("Connect" in name for name in names):
        if any(isinstance(error, _WAITING) for error in chain):
            return "no answer to the TLS handshake in time: a port without TLS?"
        return "no connection in time: a firewall, or a host that is down?"
    if is_timeout:
        return "no answer in time"
    if numbers:
        return os.strerror(numbers[-1]).lower()
    if any(isinstance(error, EOFError | ConnectionError) or "disconnected" in str(error) for error in chain):
        return "connection closed without an answer"
    if any("Protocol" in name for name in names):
        return f"what answers there does not speak {scheme.rstrip('s').upper() or 'the protocol'}"
    return names[0]


def _errno(error: BaseException) -> int | None:
    """The errno of a system call; asyncio puts those of several addresses into the text of one error."""
    if not isinstance(error, OSError):
        return None
    found = _ERRNO.search(str(error)) if error.errno is None else None
    return int(found[1]) if found else error.errno


def _of_tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted ({error.verify_message})"
    if isinstance(error, ssl.SSLEOFError):
        return "connection closed in the TLS handshake: a port without TLS?"
    reason = getattr(error, "reason", None)  # not there where Python made the error, and not OpenSSL
    if reason in _NO_TLS:
        return "no TLS there: a port without TLS?"
    return f"TLS failed ({reason or type(error).__name__})"
