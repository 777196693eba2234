"""Checks of RabbitMQ: version, flags, alarms, topology and policies. Nothing is changed.

Arguments are compared by declaring once more what exists, which tells the first that differs. Bindings and
policies are shown by the management API alone.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from aio_pika.abc import AbstractConnection
from aiormq.exceptions import ChannelAccessRefused, ChannelNotFoundEntity, ChannelPreconditionFailed

from lapidicom.cli.answers import Check, NotVisible, checked
from lapidicom.cli.by_http import Management, Queues
from lapidicom.cli.queues import FORMER_QUEUES, broker_version, ready
from lapidicom.common.broker import BrokerError, redacted
from lapidicom.common.broker.connection import CALL_SECONDS, open_channel
from lapidicom.common.broker.errors import ConnectionLost, boundary
from lapidicom.common.topology import Binding, Topology

AREA: Final = "RabbitMQ"
_MIGRATION: Final = "docs/runbook.md#a-queue-or-exchange-that-differs: arguments cannot be changed"
FIX: Final = "lapidicom doctor --fix"
SET: Final = "set AMQP_MANAGEMENT_URL, with a user who may see it"

_OLDEST: Final = (3, 10)
_FLAGS: Final = ("quorum_queue", "stream_queue")

_MISSING: Final = "missing"

BREAKS: Final[Mapping[str, str]] = {
    "delivery-limit": "the smaller limit counts: messages leave the queue after so many looks or crashes",
    "max-length": "messages above it are dropped or refused",
    "max-length-bytes": "messages above it are dropped or refused",
    "message-ttl": "messages leave the queue when they are older, or too early",
    "expires": "the queue is deleted with its messages when nobody uses it",
    "overflow": "it decides what happens at a limit in place of reject-publish, which drops nothing",
    "dead-letter-exchange": "messages would be dead-lettered where nobody looks for them",
    "dead-letter-routing-key": "messages would be dead-lettered where nobody looks for them",
    "dead-letter-strategy": "at-most-once loses messages when the broker is killed",
}
"""Keys of a policy that no queue of ours may have, and what each would do."""


async def check_reachable(link: AbstractConnection, api: Management, amqp_url: str) -> list[Check]:
    """What matters at every moment: RabbitMQ is there, in a version that will do, and takes messages."""
    alarms = await api.alarms()
    fault = f"in alarm ({alarms}): nothing can be published"
    remedy = "free memory or disk of RabbitMQ; journals hold the records meanwhile"
    return [
        _check("reachable", "", redacted(amqp_url)),
        check_version(broker_version(link)),
        _check("alarms", fault if isinstance(alarms, str) and alarms else alarms, "no alarms", remedy),
    ]


def unreachable(amqp_url: str, error: BrokerError) -> Check:
    """The same of a RabbitMQ that is away."""
    remedy = "check AMQP_URL, its user, and that RabbitMQ runs"
    return _check("reachable", f"{redacted(amqp_url)}: {error}", remedy=remedy)


async def check_broker(link: AbstractConnection, api: Management, declared: Topology) -> list[Check]:
    """All checks, on a connection.

    Raises:
        BrokerError: the broker does not answer.
    """
    checks, _ = await check_topology(link, api, declared)
    for name, remedy in FORMER_QUEUES.items():
        if count := await ready(link, name):
            checks.append(_check(name, f"left over, with {count} messages", remedy=remedy))
    flags, queues = await api.get("feature-flags"), await api.queues()
    return [check_flags(flags), *checks, *check_policies(declared, queues)]


def _check(name: str, fault: str | NotVisible, well: str = "", remedy: str = "") -> Check:
    return checked(AREA, name, fault, well, SET if isinstance(fault, NotVisible) else remedy)


def check_version(seen: str) -> Check:
    """Whether this RabbitMQ is one on which lapidicom was tried."""
    try:
        is_old = tuple(int(part) for part in seen.split(".")[:2]) < _OLDEST
    except ValueError:
        return checked(AREA, "version", NotVisible(f"it says {seen!r}"))
    remedy = "RabbitMQ 3.10 or later: before it delayed messages can be lost"
    return _check("version", seen if is_old else "", f"RabbitMQ {seen}", remedy)


def check_flags(flags: Sequence[Mapping[str, Any]] | NotVisible) -> Check:
    """Whether the feature flags are on that quorum queues and at-least-once dead-lettering need."""
    if isinstance(flags, NotVisible):
        return _check("feature flags", flags)
    off = [flag["name"] for flag in flags if flag["name"] in _FLAGS and flag["state"] != "enabled"]
    remedy = "; ".join(f"rabbitmqctl enable_feature_flag {one}" for one in off)
    return _check("feature flags", f"off: {', '.join(off)}" if off else "", ", ".join(_FLAGS), remedy)


async def check_topology(
    link: AbstractConnection, api: Management, declared: Topology
) -> tuple[list[Check], Topology]:
    """Compare exchanges, queues and bindings with what is declared; and what is to be declared.

    A binding of a queue or exchange that differs is left alone: it would feed what must be replaced. Bindings
    that nobody can see are declared again, which changes nothing.

    Raises:
        BrokerError: the broker does not answer.
    """
    faults = {
        name: await _compare(link, "exchange_declare", name, exchange_type="topic")
        for name in declared.exchanges
    } | {
        queue.name: await _compare(link, "queue_declare", queue.name, arguments=dict(queue.arguments))
        for queue in declared.queues
    }
    missing = [name for name, fault in faults.items() if fault == _MISSING]
    unseen = next((fault for fault in faults.values() if isinstance(fault, NotVisible)), None)
    differing = [name for name, fault in faults.items() if fault not in {"", _MISSING, unseen}]
    checks = [_check(name, f"differs: {faults[name]}", remedy=_MIGRATION) for name in differing]
    if missing:
        checks.append(_check("exchanges and queues", f"missing: {', '.join(missing)}", remedy=FIX))
    elif unseen or not differing:
        checks.append(checked(AREA, "exchanges and queues", unseen or "", "as declared", "give the right"))
    binding, lacking = _check_bindings(declared, await api.bindings())
    return [*checks, binding], Topology(
        exchanges=tuple(one for one in declared.exchanges if one in missing),
        queues=tuple(one for one in declared.queues if one.name in missing),
        bindings=tuple(one for one in lacking if not {one.exchange, one.queue} & set(differing)),
        delays=declared.delays,
    )


async def _compare(link: AbstractConnection, method: str, name: str, **declared: Any) -> str | NotVisible:
    """What is wrong with an exchange or a queue; passive first: else what is missing would be made."""
    channel = await (await open_channel(link)).get_underlay_channel()
    declare = partial(getattr(channel, method), name, durable=True, **declared)
    async with boundary(CALL_SECONDS, ConnectionLost):
        try:
            await declare(passive=True)
            await declare()
        except ChannelNotFoundEntity:
            return _MISSING
        except ChannelAccessRefused:
            return NotVisible("AMQP compares arguments only for a user with the right to configure")
        except ChannelPreconditionFailed as error:
            text = " ".join(str(part) for part in error.args if part is not None)
            return text.partition(" - ")[2] or text
        await channel.close()
    return ""


def _check_bindings(
    declared: Topology, bindings: Sequence[Mapping[str, Any]] | NotVisible
) -> tuple[Check, Sequence[Binding]]:
    """The check, and the bindings that are not there, or that nobody can see."""
    if isinstance(bindings, NotVisible):
        return _check("bindings", bindings), declared.bindings
    there = {(one["source"], one["routing_key"], one["destination"]) for one in bindings}
    lacking = [one for one in declared.bindings if (one.exchange, one.routing_key, one.queue) not in there]
    fault = f"missing: {'; '.join(map(str, lacking))}" if lacking else ""
    return _check("bindings", fault, f"{len(declared.bindings)} as declared", FIX), lacking


def check_policies(declared: Topology, queues: Queues | NotVisible) -> list[Check]:
    """Which policies break a guarantee, by what RabbitMQ says is in effect, some seconds late.

    Policies win over, or join, a queue's arguments; operator policies win over others.
    """
    if isinstance(queues, NotVisible):
        return [_check("policies", queues)]
    broken = []
    for queue in declared.queues:
        seen = queues.get(queue.name, {})
        kinds = {kind: seen[kind] for kind in ("policy", "operator_policy") if seen.get(kind)}
        remedy = " or ".join(f"rabbitmqctl clear_{kind} -p VHOST {name}" for kind, name in kinds.items())
        for key, value in (seen.get("effective_policy_definition") or {}).items():
            if key in BREAKS:
                what = f"{' or '.join(kinds.values())} sets {key}={value} on {queue.name}: {BREAKS[key]}"
                broken.append(_check("policies", what, remedy=remedy))
    return broken or [_check("policies", "", "none that breaks a guarantee")]
