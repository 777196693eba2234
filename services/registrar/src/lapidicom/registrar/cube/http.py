"""One HTTP client, set up as CUBE wants it, with httpx's exceptions turned into replies."""

import asyncio
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from lapidicom.common.network_errors import describe_network_error
from lapidicom.registrar.cube.contract import ACCEPT
from lapidicom.registrar.cube.replies import Answer, Fault, NoAnswer, Reply

KEEPALIVE_SECONDS = 2.0
"""Less than the 5 s after which usual servers close an idle connection."""


def http_client(
    *,
    connect_seconds: float,
    read_seconds: float,
    tls: ssl.SSLContext,
    transport: httpx.AsyncBaseTransport | None,
) -> httpx.AsyncClient:
    """Make a client for one worker: httpx gets slower with every connection that a pool holds.

    Environment variables (proxies, netrc) are not read: a netrc entry would replace the token.

    Args:
        connect_seconds: for the connection, its TLS included.
        read_seconds: for a whole request, from the connection to the last byte of the answer.
        tls: for https.
        transport: in place of httpx's own.
    """
    return httpx.AsyncClient(
        headers={"Accept": ACCEPT, "Content-Type": "application/json"},
        timeout=httpx.Timeout(read_seconds, connect=connect_seconds),
        limits=httpx.Limits(
            max_connections=2, max_keepalive_connections=1, keepalive_expiry=KEEPALIVE_SECONDS
        ),
        follow_redirects=False,
        trust_env=False,
        verify=tls,
        transport=transport,
    )


async def send(
    http: httpx.AsyncClient,
    method: str,
    url: httpx.URL,
    *,
    token: str | None = None,
    body: bytes | None = None,
) -> Reply:
    """Send one request; every failure is a reply, too.

    A request that is cut off is sent once more: an idle connection may just have been closed by the
    server, and all that is sent here may be sent twice. The client's read time-out is the limit of it
    all: httpx's own begins anew with every byte that comes.
    """
    headers = None if token is None else {"Authorization": f"Token {token}"}
    try:
        async with asyncio.timeout(http.timeout.read):
            response = await _send_twice_at_most(http, method, url, headers, body)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        return NoAnswer(Fault.NOT_CONNECTED, describe_network_error(error, str(url)))
    except (httpx.HTTPError, TimeoutError) as error:
        return NoAnswer(Fault.NO_ANSWER, describe_network_error(error, str(url)))
    return Answer(
        response.status_code,
        response.headers.get("content-type", "").partition(";")[0].strip().lower(),
        response.content,
        _seconds(response.headers.get("retry-after")),
    )


async def _send_twice_at_most(
    http: httpx.AsyncClient,
    method: str,
    url: httpx.URL,
    headers: dict[str, str] | None,
    body: bytes | None,
) -> httpx.Response:
    try:
        return await http.request(method, url, content=body, headers=headers)
    except (httpx.ConnectError, httpx.TimeoutException):
        raise
    except httpx.HTTPError:
        return await http.request(method, url, content=body, headers=headers)


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After is a number of seconds or a date (RFC 9110, 10.2.3)."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    try:
        when = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())
