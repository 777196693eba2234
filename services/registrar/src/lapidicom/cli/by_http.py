"""Looks by HTTP at RabbitMQ's management API and at /readyz: one deadline for each whole answer.

The management API is optional (AMQP_MANAGEMENT_URL); its answers are given as they come. A user with the tag
`monitoring` sees all that is asked here but the feature flags, which need `administrator`; rights on the
vhost are needed too. Counts are up to 5 s old, and absent right after a queue was declared.
"""

import asyncio
import functools
import socket
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from lapidicom.cli.answers import Check, NotVisible, Result, checked
from lapidicom.cli.settings import CommandSettings
from lapidicom.registrar.cube.http import HttpClient
from lapidicom.registrar.cube.replies import NoAnswer

SECONDS: Final = 5.0
"""For a whole answer, and for each step of a connection."""

UNSET: Final = NotVisible("AMQP_MANAGEMENT_URL is not set")
_MOST_BYTES: Final = 1 << 24
_MOST_REASON: Final = 200
_MOST_PROCESSES: Final = 50
"""Of one address."""

Queues = Mapping[str, Mapping[str, Any]]
"""What the API says of each queue, by its name."""


def number(queues: Queues | NotVisible, queue: str, key: str) -> int | NotVisible:
    """A number of a queue; 0 where the API has none, as of one that nobody ever used."""
    if isinstance(queues, NotVisible):
        return queues
    found = queues.get(queue, {})
    counted = int(found.get(key) or 0)
    return counted if "messages_ready" in found else NotVisible("RabbitMQ has not counted it yet")


@dataclass(frozen=True)
class Management:
    """The API for one vhost. Every answer may be NotVisible, with the reason.

    Attributes:
        http: asks it.
        vhost: name of the vhost.
        url: its address; None where that is not set.
        auth: its user.
    """

    http: HttpClient
    vhost: str
    url: httpx.URL | None
    auth: httpx.Auth

    async def bindings(self) -> Any:
        """All bindings of the vhost."""
        return await self.get(f"bindings/{quote(self.vhost, safe='')}")

    async def queues(self) -> Queues | NotVisible:
        """All queues of the vhost, by name."""
        found = await self.get(f"queues/{quote(self.vhost, safe='')}")
        return found if isinstance(found, NotVisible) else {one["name"]: one for one in found}

    async def alarms(self) -> str | NotVisible:
        """What is in alarm anywhere in the cluster, such as `memory on rabbit@a`; empty if nothing is."""
        found = await self.get("health/checks/alarms", failing=503)
        if isinstance(found, NotVisible):
            return found
        listed = found.get("alarms") or []
        return ", ".join(sorted({f"{alarm.get('resource')} on {alarm.get('node')}" for alarm in listed}))

    async def get(self, path: str, failing: int = 200) -> Any:
        """The JSON of an answer.

        Args:
            path: below /api/.
            failing: a status beside 200 that is an answer, too.
        """
        if self.url is None:
            return UNSET
        url = self.url.copy_with(path=f"{self.url.path.rstrip('/')}/api/{path}")
        reply = await self.http.send("GET", url, auth=self.auth, most=_MOST_BYTES)
        if isinstance(reply, NoAnswer):
            return NotVisible(f"the management API does not answer: {reply.detail}")
        if reply.json is None:
            return NotVisible("what answers at AMQP_MANAGEMENT_URL is not RabbitMQ's management API")
        if reply.status in {200, failing}:
            return reply.json
        what = "refuses AMQP_MANAGEMENT_URL's user" if reply.status == 401 else f"answers {reply.status}"
        reason = " ".join(str(reply.fields.get("reason", ""))[:_MOST_REASON].split())
        return NotVisible(f"the management API {what}{reason and f' ({reason})'}: /api/{path}")


@asynccontextmanager
async def management(settings: CommandSettings) -> AsyncIterator[Management]:
    """The management API; without a user of its own with that of AMQP_URL."""
    amqp, url = httpx.URL(settings.amqp_url.get_secret_value()), None
    login = amqp
    if settings.management_url is not None:
        url = httpx.URL(settings.management_url.get_secret_value())
        login = url if url.username else amqp
        url = url.copy_with(userinfo=b"")
    auth = httpx.BasicAuth(login.username or "guest", login.password or "guest")
    async with _client() as http:
        yield Management(http, amqp.path.removeprefix("/") or "/", url, auth)


class _Readiness(BaseModel):
    ready: bool
    reasons: list[str]
    degraded: list[str] = []


async def ask_services(area: str, urls: Sequence[str]) -> list[Check]:
    """One check for each process of a service, all asked at the same time.

    Args:
        area: `receivers` or `registrars`.
        urls: such as `http://receiver:8080`; a name with several addresses stands for as many processes.
    """
    if not urls:
        unset = f"CHRIS_{area.upper().removesuffix('S')}_URL is not set"
        return [checked(area, "ready", NotVisible(unset), remedy="set it to where they answer /readyz")]
    async with _client() as http:
        asked = [process for url in urls for process in await _processes(httpx.URL(url))]
        answers = await asyncio.gather(*(_readiness(http, process) for process in asked))
    bad = Result.DEGRADED if any(answer.ready for answer in answers) else Result.FAIL
    checks = []
    for process, answer in zip(asked, answers, strict=True):
        address, reasons = process.netloc.decode(), "; ".join(answer.reasons + answer.degraded)
        is_well = answer.ready and not reasons
        fault = (
            f"{address} is {'degraded' if answer.ready else 'not ready'}: {reasons or 'it does not say why'}"
        )
        remedy = "mend what it names; more is in its log"
        checks.append(
            checked(area, address, "" if is_well else fault, f"{address} is ready", remedy, bad=bad)
        )
    return checks


async def _processes(url: httpx.URL) -> list[httpx.URL]:
    """All addresses of a name, of one family: the second one would be the same processes again."""
    if url.scheme != "http":
        return [url]  # by its address alone no server's certificate fits
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(SECONDS):
            found = await loop.getaddrinfo(url.host, url.port or 80, type=socket.SOCK_STREAM)
    except OSError:
        return [url]  # who asks it by its name gets the reason
    family = min(entry[0] for entry in found)
    hosts = sorted({str(entry[4][0]) for entry in found if entry[0] == family})[:_MOST_PROCESSES]
    return [url.copy_with(host=host) for host in hosts] if len(hosts) > 1 else [url]


async def _readiness(http: HttpClient, process: httpx.URL) -> _Readiness:
    reply = await http.send("GET", process.join("/readyz"))
    if isinstance(reply, NoAnswer):
        return _Readiness(ready=False, reasons=[f"/readyz does not answer: {reply.detail}"])
    try:
        return _Readiness.model_validate_json(reply.body)
    except ValidationError:
        return _Readiness(ready=False, reasons=["what answers there is no service of lapidicom"])


def _client() -> HttpClient:
    """A client without the environment's proxies and passwords, to be used as a context."""
    transport = httpx.AsyncHTTPTransport(verify=_tls(), trust_env=False)
    return HttpClient(transport, connect_seconds=SECONDS, seconds=SECONDS)


@functools.cache
def _tls() -> ssl.SSLContext:
    """One for all: to read the CAs takes as long as many requests, and --watch asks every two seconds."""
    return ssl.create_default_context()
