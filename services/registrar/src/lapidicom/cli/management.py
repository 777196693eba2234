"""RabbitMQ's management API: what AMQP cannot tell. Only reads; optional by AMQP_MANAGEMENT_URL.

Answers are as the API gives them. A user with the tag `monitoring` sees all that is asked here but the
feature flags, which need `administrator`; rights on the vhost are needed too. Counts are up to 5 s old, and
absent right after a queue was declared.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import httpx

from lapidicom.cli.answers import NotVisible
from lapidicom.cli.http import get, http_client
from lapidicom.cli.settings import CommandSettings
from lapidicom.common.network_errors import describe_network_error

UNSET: Final = NotVisible("AMQP_MANAGEMENT_URL is not set")
_MOST_REASON: Final = 200

Queues = Mapping[str, Mapping[str, Any]]
"""What the API says of each queue, by its name."""


def number(queues: Queues | NotVisible, queue: str, *keys: str) -> Any:
    """A number, by its keys; 0 where the API has none, as of a queue that nobody ever used."""
    if isinstance(queues, NotVisible):
        return queues
    value: Any = queues.get(queue, {})
    if "messages_ready" not in value:
        return NotVisible("RabbitMQ has not counted it yet")
    for key in keys:
        value = value.get(key) or {}
    return value or 0


@dataclass(frozen=True)
class Management:
    """The API for one vhost. Every answer may be NotVisible, with the reason.

    Attributes:
        http: a client whose base is the API's address, with credentials; None where that is not set.
        vhost: name of the vhost.
    """

    http: httpx.AsyncClient | None
    vhost: str

    async def of_vhost(self, what: str) -> Any:
        """All `queues`, `exchanges`, `bindings`, `policies` or `operator-policies` of the vhost."""
        return await self.get(f"{what}/{quote(self.vhost, safe='')}")

    async def queues(self) -> Queues | NotVisible:
        """The queues by name."""
        found = await self.of_vhost("queues")
        return found if isinstance(found, NotVisible) else {one["name"]: one for one in found}

    async def alarms(self) -> list[str] | NotVisible:
        """What is in alarm anywhere in the cluster (`memory`, `disk`): publishing stands still meanwhile."""
        found = await self.get("health/checks/alarms", failing=503)
        if isinstance(found, NotVisible):
            return found
        listed = found.get("alarms") or []
        return sorted({f"{alarm.get('resource')} on {alarm.get('node')}" for alarm in listed})

    async def get(self, path: str, failing: int | None = None) -> Any:
        """The JSON of an answer.

        Args:
            path: below /api/.
            failing: a status beside 200 that is an answer, too.
        """
        if self.http is None:
            return UNSET
        try:
            response = await get(self.http, f"api/{path}")
        except (httpx.HTTPError, TimeoutError) as error:
            why = describe_network_error(error, str(self.http.base_url))
            return NotVisible(f"the management API does not answer: {why}")
        if response.status_code not in {200, failing}:
            return NotVisible(f"the management API {_refusal(response)}: /api/{path}")
        try:
            return response.json()
        except ValueError:
            return NotVisible("what answers at AMQP_MANAGEMENT_URL is not RabbitMQ's management API")


def _refusal(response: httpx.Response) -> str:
    """What it did, and RabbitMQ's own reason: what a user lacks, such as a tag or a right on the vhost."""
    try:
        reason = str(response.json()["reason"])
    except (ValueError, KeyError, TypeError):
        reason = ""
    refuses = response.status_code == 401
    text = "refuses AMQP_MANAGEMENT_URL's user" if refuses else f"answers {response.status_code}"
    return text + (f" ({' '.join(reason.split())[:_MOST_REASON]})" if reason else "")


@asynccontextmanager
async def management(settings: CommandSettings) -> AsyncIterator[Management]:
    """The management API; without a user of its own with that of AMQP_URL."""
    amqp = urlsplit(settings.amqp_url.get_secret_value())
    vhost = unquote(amqp.path.removeprefix("/")) or "/"
    if settings.management_url is None:
        yield Management(None, vhost)
        return
    parts = urlsplit(settings.management_url.get_secret_value())
    login = parts if parts.username is not None else amqp
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2], path=f"{parts.path.rstrip('/')}/")
    account = unquote(login.username or "guest"), unquote(login.password or "guest")
    async with http_client(base_url=urlunsplit(address), auth=account) as http:
        yield Management(http, vhost)
