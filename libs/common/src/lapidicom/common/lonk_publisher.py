"""Sends what is in an outbox to NATS, and connects anew whenever NATS was away, frozen or restarted."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import nats.errors
import structlog
from nats.aio.client import Client

from lapidicom.common.broker.backoff import Backoff
from lapidicom.common.lonk import GOODBYE_SECONDS, Outbox
from lapidicom.common.network_errors import describe_network_error, server_of

_CONNECT_SECONDS: Final = 3.0
_PING_SECONDS: Final = 5
"""A connection on which nothing is sent is found dead after three of these."""

_SILENT: Final = (nats.errors.UnexpectedEOF, nats.errors.StaleConnectionError)


class LonkPublisher:
    """A connection to NATS that is made again and again.

    Args:
        url: of NATS, with its scheme.
        outbox: what is to be sent.
        name: of this client, as NATS shows it.
        answer_seconds: within which NATS must have taken what was sent.
        longest_pause: seconds between two tries to connect.

    Attributes:
        connected: whether NATS takes messages, for all that is known.
    """

    def __init__(
        self, url: str, outbox: Outbox, *, name: str, answer_seconds: float = 5.0, longest_pause: float = 30.0
    ) -> None:
        self.connected = False
        self._url = url
        self._outbox = outbox
        self._name = name
        self._answer_seconds = answer_seconds
        self._backoff = Backoff(min(1.0, longest_pause), longest_pause)
        self._is_away_logged = self._is_refusal_logged = False
        self._log = structlog.get_logger()

    async def run(self) -> None:
        """Send until the outbox is closed and empty, or until it is cancelled; never raises."""
        while not self._outbox.closing:
            try:
                await self._serve()
            except Exception as error:  # noqa: BLE001 (whatever it is, messages may not end for good)
                self._note_away(error)
            if not self._outbox.closing:
                await asyncio.sleep(self._backoff.next())

    async def _serve(self) -> None:
        async with connection(
            self._url, name=self._name, on_end=self._outbox.wake, on_error=self._note_refusal
        ) as client:
            self.connected = True
            self._is_away_logged = self._is_refusal_logged = False
            self._log.info("nats_connected", server=server_of(self._url))
            try:
                await self._send(client)
            finally:
                self.connected = False

    async def _send(self, client: Client) -> None:
        while batch := await self._outbox.take(lambda: client.is_closed):
            try:
                async with asyncio.timeout(self._answer_seconds):
                    for subject, payload in batch:
                        await client.publish(subject, payload)
                    # Not flush(): that believes in a connection of which nobody reads the answers any more.
                    # Twice: the first ping overtakes what waits to be written.
                    await client.rtt(timeout=60)
                    await client.rtt(timeout=60)
            except BaseException:
                self._outbox.put_back(batch)
                raise
            self._backoff.reset()
        if not self._outbox.closing:
            raise client.last_error or nats.errors.ConnectionClosedError

    def _note_away(self, error: Exception) -> None:
        if not self._is_away_logged:
            self._is_away_logged = True
            self._log.warning("nats_away", reason=reason_of(error, self._url))

    def _note_refusal(self, error: Exception) -> None:
        """NATS refuses a message and not the connection: the user may not publish there."""
        if self.connected and "permissions" in str(error).lower() and not self._is_refusal_logged:
            self._is_refusal_logged = True
            self._log.warning("nats_refuses_messages", reason=reason_of(error, self._url))


@asynccontextmanager
async def connection(
    url: str,
    *,
    name: str,
    on_end: Callable[[], None] = lambda: None,
    on_error: Callable[[Exception], None] = lambda _: None,
) -> AsyncGenerator[Client, None]:
    """One connection to NATS, which does not come back by itself.

    Args:
        url: of NATS, with its scheme.
        name: of this client, as NATS shows it.
        on_end: called when the connection has ended.
        on_error: called with each error, also of connecting.

    Raises:
        Exception: NATS cannot be reached, or refuses; `reason_of` has a sentence for it.
    """
    client = Client()
    met: list[Exception] = []

    async def failed(error: Exception) -> None:
        """Without this the client writes errors to a log of its own."""
        met[:] = [error]
        on_error(error)

    async def ended() -> None:
        on_end()

    try:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await client.connect(
                    url,
                    name=name,
                    error_cb=failed,
                    closed_cb=ended,
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    ping_interval=_PING_SECONDS,
                )
        except nats.errors.NoServersError as error:
            raise (met[-1] if met else error) from None
        yield client
    finally:
        # To a frozen server closing can last; it goes on without us.
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                await client.close()


async def why_unreachable(url: str) -> str | None:
    """Why NATS cannot be reached, as one sentence; None if it can."""
    try:
        async with connection(url, name="lapidicom doctor"):
            return None
    except (OSError, TimeoutError, nats.errors.Error) as error:
        return reason_of(error, url)


def reason_of(error: Exception, url: str) -> str:
    """Why NATS cannot be reached, as one sentence without user and password."""
    if isinstance(error, _SILENT):
        error = EOFError()
    elif type(error) is nats.errors.Error:  # what the server itself has said
        return f"{server_of(url)}: {str(error)[:100]}"
    return describe_network_error(error, url)
