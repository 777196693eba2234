"""One HTTP client, set up as CUBE wants it, with httpx's exceptions turned into replies.

httpx's transport without httpx's client: that one takes longer for a request than the transport does, for
what is not wanted here: cookies, redirects, and proxies and passwords of the environment.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Final, Self, cast

import httpx

from lapidicom.common.network_errors import describe_network_error
from lapidicom.registrar.cube.contract import ACCEPT, MOST_OF_AN_ANSWER
from lapidicom.registrar.cube.replies import Answer, Fault, NoAnswer, Reply, media_type
from lapidicom.registrar.cube.token import NoTokenError

KEEPALIVE_SECONDS: Final = 2.0
"""Less than the 5 s after which usual servers close an idle connection."""

_HEADERS: Final = httpx.Headers(
    {
        "Accept": ACCEPT,
        # Compressed, a small answer could be a huge one.
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
        "User-Agent": "lapidicom",
    }
)
_NO_AUTH: Final = httpx.Auth()


MakeTransport = Callable[[ssl.SSLContext], httpx.AsyncBaseTransport]


def transport_to_cube(tls: ssl.SSLContext) -> httpx.AsyncBaseTransport:
    """Make the connections of one worker: httpx gets slower with every connection that a pool holds."""
    limits = httpx.Limits(max_connections=2, max_keepalive_connections=1, keepalive_expiry=KEEPALIVE_SECONDS)
    return httpx.AsyncHTTPTransport(verify=tls, trust_env=False, limits=limits)


class HttpClient:
    """The client of one worker. Used as a context, which closes its connections.

    Args:
        transport: its connections.
        connect_seconds: for the connection; for its TLS, again as long.
        seconds: for a whole request, from the connection to the last byte of the answer, a token included.
    """

    def __init__(
        self, transport: httpx.AsyncBaseTransport, *, connect_seconds: float, seconds: float
    ) -> None:
        self._transport = transport
        self._seconds = seconds
        # No others: httpx's time-out of a read begins anew with every byte that comes.
        self._timeouts = {"timeout": {"connect": connect_seconds}}

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.__aexit__(kind, error, trace)

    async def send(
        self,
        method: str,
        url: httpx.URL,
        *,
        auth: httpx.Auth = _NO_AUTH,
        body: bytes | None = None,
        most: int = MOST_OF_AN_ANSWER,
    ) -> Reply:
        """Send one request, and those that its authentication takes; every failure is a reply, too.

        Args:
            method: of HTTP.
            url: whole.
            auth: how it is authenticated.
            body: JSON.
            most: bytes of the answer's body; what is longer is cut, and so no answer of CUBE's.
        """
        request = httpx.Request(method, url, headers=_HEADERS, content=body, extensions=self._timeouts)
        sent: httpx.Request | None = None
        try:
            async with asyncio.timeout(self._seconds), aclosing(auth.async_auth_flow(request)) as flow:
                sent = await anext(flow)
                while True:
                    response, found = await self._exchange(sent, most)
                    seen = response if sent is request else _read_whole(response, found)
                    try:
                        sent = await flow.asend(seen)
                    except StopAsyncIteration:
                        return _answer(response, found, most)
        except NoTokenError as error:
            return NoAnswer(Fault.NO_TOKEN, str(error))
        except (httpx.HTTPError, TimeoutError) as error:
            fault = _fault(error) if sent is request else Fault.NO_TOKEN
            return NoAnswer(fault, describe_network_error(error, str(url)))

    async def _exchange(self, request: httpx.Request, most: int) -> tuple[httpx.Response, bytes]:
        """The response to one request, and its body.

        A request that is cut off is sent once more: an idle connection may just have been closed by the
        server, and all that is sent here may be sent twice.
        """
        try:
            return await self._exchange_once(request, most)
        except (httpx.ConnectError, httpx.TimeoutException):
            raise
        except httpx.HTTPError:
            return await self._exchange_once(request, most)

    async def _exchange_once(self, request: httpx.Request, most: int) -> tuple[httpx.Response, bytes]:
        response = await self._transport.handle_async_request(request)
        try:
            return response, await _read(response, most)
        finally:
            await response.aclose()


def _answer(response: httpx.Response, body: bytes, most: int) -> Answer:
    headers = response.headers
    return Answer(
        response.status_code,
        media_type(headers.get("content-type")),
        body[:most],
        _seconds(headers.get("retry-after")),
        is_whole=len(body) <= most,
    )


def _read_whole(response: httpx.Response, body: bytes) -> httpx.Response:
    """A response that can be read, for an authentication that asks what it says; nothing is unpacked."""
    content_type = {"Content-Type": response.headers.get("content-type", "")}
    return httpx.Response(response.status_code, headers=content_type, content=body)


def _fault(error: Exception) -> Fault:
    not_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    return Fault.NOT_CONNECTED if not_sent else Fault.NO_ANSWER


async def _read(response: httpx.Response, most: int) -> bytes:
    """The body as it comes; not much more than `most`, however much there is."""
    body = bytearray()
    async for part in cast(httpx.AsyncByteStream, response.stream):
        body += part
        if len(body) > most:
            break
    return bytes(body)


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After is a number of seconds or a date (RFC 9110, 10.2.3)."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    try:
        when = parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())
