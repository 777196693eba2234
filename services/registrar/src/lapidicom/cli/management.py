"""RabbitMQ's management API: what AMQP cannot tell. Only reads; optional by AMQP_MANAGEMENT_URL.

A user with the tag `monitoring` sees all that is asked here but the feature flags, which need
`administrator`; rights on the vhost are needed too. Counts are up to 5 s old, and absent right after a
queue was declared.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import httpx

from lapidicom.cli.errors import NotVisible
from lapidicom.common.network_errors import describe_network_error

NO_MANAGEMENT: Final = NotVisible("AMQP_MANAGEMENT_URL is not set")
_SECONDS: Final = 5.0
_MOST_REASON: Final = 200


@dataclass(frozen=True, slots=True)
class ManagedQueue:
    """A queue as the API shows it; None where a statistic is not there yet.

    Attributes:
        dead_lettering: messages that wait for at-least-once dead-lettering to be confirmed.
        publish_rate: messages a second that came in.
        ack_rate: messages a second that were acknowledged.
        policy: name of the policy in effect, and of the operator policy.
        effective: the keys of both, joined.
    """

    name: str
    kind: str
    durable: bool
    arguments: Mapping[str, Any]
    ready: int | None
    unacknowledged: int | None
    consumers: int | None
    dead_lettering: int | None
    publish_rate: float | None
    ack_rate: float | None
    policy: str
    operator_policy: str
    effective: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ManagedExchange:
    """An exchange as the API shows it."""

    name: str
    kind: str
    durable: bool


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy, or an operator policy, of the vhost.

    Attributes:
        apply_to: `queues`, `all`, `quorum_queues`, `exchanges` and the like.
        is_operators: it is an operator policy.
    """

    name: str
    pattern: str
    apply_to: str
    priority: int
    definition: Mapping[str, Any]
    is_operators: bool

    def matches(self, queue: str) -> bool:
        """Whether it is for this (quorum) queue; Erlang's regular expressions are near Python's."""
        if self.apply_to not in {"all", "queues", "quorum_queues"}:
            return False
        try:
            return re.search(self.pattern, queue) is not None
        except re.error:
            return False


@dataclass(frozen=True, slots=True)
class ManagedBinding:
    """A binding of an exchange to a queue, as the API shows it."""

    exchange: str
    routing_key: str
    queue: str


class Management:
    """The API for one vhost. Every answer may be NotVisible, with the reason.

    Args:
        http: a client whose base is the API's address, with credentials.
        vhost: name of the vhost.
    """

    def __init__(self, http: httpx.AsyncClient, vhost: str) -> None:
        self._http = http
        self._vhost = quote(vhost, safe="")

    async def version(self) -> str | NotVisible:
        """RabbitMQ's version."""
        found = await self._get("overview")
        return found if isinstance(found, NotVisible) else str(found.get("rabbitmq_version", ""))

    async def alarms(self) -> Sequence[str] | NotVisible:
        """What is in alarm anywhere in the cluster (`memory`, `disk`): publishing stands still meanwhile."""
        found = await self._get("health/checks/alarms", failing=503)
        if isinstance(found, NotVisible):
            return found
        listed = found.get("alarms") or []
        return sorted({f"{alarm.get('resource')} on {alarm.get('node')}" for alarm in listed})

    async def queues(self) -> Mapping[str, ManagedQueue] | NotVisible:
        """All queues of the vhost, by name."""
        found = await self._get(f"queues/{self._vhost}")
        return found if isinstance(found, NotVisible) else {one["name"]: _queue(one) for one in found}

    async def exchanges(self) -> Mapping[str, ManagedExchange] | NotVisible:
        """All exchanges of the vhost, by name."""
        found = await self._get(f"exchanges/{self._vhost}")
        if isinstance(found, NotVisible):
            return found
        return {one["name"]: ManagedExchange(one["name"], one["type"], one["durable"]) for one in found}

    async def bindings(self) -> frozenset[ManagedBinding] | NotVisible:
        """All bindings of exchanges to queues, but those of the default exchange."""
        found = await self._get(f"bindings/{self._vhost}")
        if isinstance(found, NotVisible):
            return found
        return frozenset(
            ManagedBinding(one["source"], one["routing_key"], one["destination"])
            for one in found
            if one["source"] and one["destination_type"] == "queue"
        )

    async def policies(self) -> Sequence[Policy] | NotVisible:
        """All policies and operator policies of the vhost."""
        policies: list[Policy] = []
        for path, is_operators in (("policies", False), ("operator-policies", True)):
            found = await self._get(f"{path}/{self._vhost}")
            if isinstance(found, NotVisible):
                return found
            policies.extend(_policy(one, is_operators=is_operators) for one in found)
        return policies

    async def feature_flags(self) -> Mapping[str, str] | NotVisible:
        """The state of each feature flag: `enabled` or `disabled`."""
        found = await self._get("feature-flags")
        return found if isinstance(found, NotVisible) else {one["name"]: one["state"] for one in found}

    async def clock(self) -> datetime | NotVisible:
        """What the server's clock says, in whole seconds."""
        try:
            response = await self._http.get("api/overview")
            return parsedate_to_datetime(response.headers["date"])
        except (httpx.HTTPError, KeyError, ValueError) as error:
            return NotVisible(f"the management API tells no time: {self._why(error)}")

    async def _get(self, path: str, failing: int | None = None) -> Any:
        """The JSON of an answer.

        Args:
            path: below /api/.
            failing: a status beside 200 that is an answer, too.
        """
        try:
            response = await self._http.get(f"api/{path}")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return NotVisible(f"the management API does not answer: {self._why(error)}")
        if response.status_code not in {200, failing}:
            return NotVisible(f"the management API {_refusal(response)}: /api/{path}")
        try:
            return response.json()
        except ValueError:
            return NotVisible("what answers at AMQP_MANAGEMENT_URL is not RabbitMQ's management API")

    def _why(self, error: Exception) -> str:
        if isinstance(error, httpx.HTTPError):
            return describe_network_error(error, str(self._http.base_url))
        return "it sends no Date header"


def _refusal(response: httpx.Response) -> str:
    """What it did, and RabbitMQ's own reason: what a user lacks, such as a tag or a right on the vhost."""
    try:
        reason = response.json()["reason"]
    except (ValueError, KeyError, TypeError):
        reason = ""
    text = " ".join(reason.split()) if isinstance(reason, str) else ""
    refuses = response.status_code == 401
    told = "refuses AMQP_MANAGEMENT_URL's user" if refuses else f"answers {response.status_code}"
    return told + (f" ({text[:_MOST_REASON]})" if text else "")


@asynccontextmanager
async def management(url: str | None, amqp_url: str) -> AsyncIterator[Management | None]:
    """The management API, or None where its address is not set.

    Args:
        url: its address; without a user that of `amqp_url` is taken.
        amqp_url: names the vhost.
    """
    if url is None:
        yield None
        return
    parts, amqp = urlsplit(url), urlsplit(amqp_url)
    login = parts if parts.username is not None else amqp
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2], path=f"{parts.path.rstrip('/')}/")
    async with httpx.AsyncClient(
        base_url=urlunsplit(address),
        auth=(unquote(login.username or "guest"), unquote(login.password or "guest")),
        timeout=_SECONDS,
        trust_env=False,
    ) as http:
        yield Management(http, vhost_of(amqp_url))


def vhost_of(amqp_url: str) -> str:
    """The vhost that an AMQP URL names; `/` if it names none."""
    return unquote(urlsplit(amqp_url).path.removeprefix("/")) or "/"


def _queue(one: Mapping[str, Any]) -> ManagedQueue:
    statistics = one.get("message_stats") or {}
    return ManagedQueue(
        name=one["name"],
        kind=str(one.get("type", "")),
        durable=bool(one.get("durable")),
        arguments=one.get("arguments") or {},
        ready=one.get("messages_ready"),
        unacknowledged=one.get("messages_unacknowledged"),
        consumers=one.get("consumers"),
        dead_lettering=one.get("messages_dlx"),
        publish_rate=_rate(statistics, "publish") if "messages_ready" in one else None,
        ack_rate=_rate(statistics, "ack") if "messages_ready" in one else None,
        policy=one.get("policy") or "",
        operator_policy=one.get("operator_policy") or "",
        effective=one.get("effective_policy_definition") or {},
    )


def _rate(statistics: Mapping[str, Any], name: str) -> float:
    return float((statistics.get(f"{name}_details") or {}).get("rate", 0.0))


def _policy(one: Mapping[str, Any], *, is_operators: bool) -> Policy:
    return Policy(
        name=one["name"],
        pattern=one["pattern"],
        apply_to=one.get("apply-to", "all"),
        priority=one.get("priority", 0),
        definition=one.get("definition") or {},
        is_operators=is_operators,
    )
