"""Checks of RabbitMQ: version, flags, alarms, rights, topology and policies. Nothing is changed.

Rights are found out by requests that RabbitMQ must refuse for their form: it looks at the right first, so
that ACCESS_REFUSED means no, and any other refusal yes (tried on RabbitMQ 3.10). Arguments are compared by
declaring what exists once more; the management API, where it is, shows all that differs, bindings, policies.
"""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import aiormq
from aio_pika.abc import AbstractConnection
from aiormq.abc import AbstractChannel
from aiormq.exceptions import (
    ChannelAccessRefused,
    ChannelClosed,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
)

from lapidicom.cli.check import Check, failed, passed, unseen
from lapidicom.cli.dead_letters import AUDIT_QUEUE, REPLAY_QUEUE
from lapidicom.cli.errors import NotVisible
from lapidicom.common.broker import BrokerError
from lapidicom.common.broker.connection import CALL_SECONDS, open_channel
from lapidicom.common.broker.errors import ConnectionLost, boundary
from lapidicom.common.topology import (
    DEAD_LETTER_QUEUE,
    WORK_QUEUE,
    Binding,
    Queue,
    Topology,
)

AREA: Final = "RabbitMQ"
OF_FORMER_QUEUES: Final = {
    AUDIT_QUEUE: "its lines are now in LAPIDICOM_AUDIT_LOG: keep them with "
    "`lapidicom dlq export audit.jsonl --queue lapidicom.audit`, then "
    "`rabbitmqctl delete_queue lapidicom.audit`",
    REPLAY_QUEUE: "nothing reads it any more: `rabbitmqctl delete_queue lapidicom.replays`",
}
"""Queues that earlier versions declared, and what to do about them."""

MIGRATION: Final = "docs/runbook.md#a-queue-or-exchange-that-differs"
FIX: Final = "lapidicom doctor --fix"

_OLDEST: Final = (3, 10)
_FLAGS: Final = ("quorum_queue", "stream_queue")
_RIGHTS: Final = "^lapidicom(\\..*)?$"
_MOST_NAMES: Final = 3
_SET: Final = "set AMQP_MANAGEMENT_URL"
_NEVER: Final = "never"
_NO_SUCH_EXCHANGE: Final = "lapidicom.no-such-exchange"
"""Nobody declares it; a binding to it fails behind the look at the rights."""

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

Ask = Callable[[AbstractChannel, str], Awaitable[object]]
Step = Callable[[AbstractChannel, bool], Awaitable[object]]


def check_version(seen: str) -> Check:
    """Whether this RabbitMQ is one on which lapidicom was tried."""
    try:
        found = tuple(int(part) for part in seen.split(".")[:2])
    except ValueError:
        return unseen(AREA, "version", f"it says {seen!r}")
    if found >= _OLDEST:
        return passed(AREA, "version", seen)
    return failed(AREA, "version", seen, "RabbitMQ 3.10 or later: before it delayed messages can be lost")


def check_flags(flags: Sequence[Mapping[str, Any]] | NotVisible) -> Check:
    """Whether the feature flags are on that quorum queues and at-least-once dead-lettering need."""
    if isinstance(flags, NotVisible):
        return unseen(AREA, "feature flags", flags.reason, f"{_SET} with a user of the tag administrator")
    states = {flag["name"]: flag["state"] for flag in flags}
    off = [flag for flag in _FLAGS if states.get(flag, "enabled") != "enabled"]
    if not off:
        return passed(AREA, "feature flags", ", ".join(_FLAGS))
    remedy = "; ".join(f"rabbitmqctl enable_feature_flag {one}" for one in off)
    return failed(AREA, "feature flags", f"off: {', '.join(off)}", remedy)


def check_alarms(alarms: Sequence[str] | NotVisible) -> Check:
    """Whether anything can be published."""
    if isinstance(alarms, NotVisible):
        return unseen(AREA, "alarms", alarms.reason, _SET)
    if not alarms:
        return passed(AREA, "alarms", "none")
    return failed(AREA, "alarms", ", ".join(alarms), "free memory or disk: nothing can be published")


async def check_rights(link: AbstractConnection, declared: Topology) -> list[Check]:
    """Whether the user may declare, publish, bind and consume what the services and the command do.

    Raises:
        BrokerError: the broker does not answer.
    """
    queues = [queue.name for queue in declared.queues]
    never_live: dict[str, Any] = {"x-queue-type": "quorum", "x-expires": -1}
    no_number = aiormq.spec.Basic.Properties(expiration=_NEVER)

    async def nobody(_: object) -> None:
        raise AssertionError("there is no consumer")

    asked: dict[tuple[str, str], tuple[Sequence[str], Ask]] = {
        ("configure", "configure"): (
            [*queues, f"{DEAD_LETTER_QUEUE}.lock"],
            lambda channel, name: channel.queue_declare(name, durable=True, arguments=never_live),
        ),
        ("publish", "write"): (
            declared.exchanges,
            lambda channel, name: channel.basic_publish(
                b"", exchange=name, routing_key=_NEVER, properties=no_number, mandatory=True
            ),
        ),
        ("bind", "write and read"): (
            queues,
            lambda channel, name: channel.queue_bind(name, _NO_SUCH_EXCHANGE, _NEVER),
        ),
        ("consume", "read"): (
            (DEAD_LETTER_QUEUE,),  # of the work queue nothing here consumes, not even to be refused
            lambda channel, name: channel.basic_consume(name, nobody, arguments={"x-priority": _NEVER}),
        ),
    }
    checks = []
    for (act, right), (names, ask) in asked.items():
        refused = [name for name in names if not await _is_permitted(link, ask, name)]
        more = f" and {len(refused) - _MOST_NAMES} more" if len(refused) > _MOST_NAMES else ""
        seen = f"refused: {', '.join(refused[:_MOST_NAMES])}{more}"
        remedy = f"rabbitmqctl set_permissions: {right} must match {_RIGHTS}"
        name = f"right to {act}"
        checks.append(
            failed(AREA, name, seen, remedy) if refused else passed(AREA, name, f"{len(names)} names")
        )
    return checks


async def _is_permitted(link: AbstractConnection, ask: Ask, name: str) -> bool:
    channel = await (await open_channel(link, confirms=True)).get_underlay_channel()
    async with boundary(CALL_SECONDS, ConnectionLost):
        try:
            await ask(channel, name)
        except ChannelAccessRefused:
            return False
        except ChannelClosed:
            return True
    raise BrokerError("the broker did what it should have refused")


async def check_topology(
    link: AbstractConnection,
    declared: Topology,
    queues: Mapping[str, Mapping[str, Any]] | NotVisible,
    exchanges: Sequence[Mapping[str, Any]] | NotVisible,
    bindings: Sequence[Mapping[str, Any]] | NotVisible,
) -> tuple[list[Check], Topology]:
    """Compare exchanges, queues and bindings with what is declared; and what is to be declared.

    A binding of a queue or exchange that differs is left alone: it would feed what must be replaced. Bindings
    that nobody can see are declared again, which changes nothing.

    Args:
        link: to the broker.
        declared: the topology.
        queues: of the management API, by name.
        exchanges: of the management API.
        bindings: of the management API.

    Raises:
        BrokerError: the broker does not answer.
    """
    states = {name: await _compare(link, _exchange(name)) for name in declared.exchanges}
    for one in () if isinstance(exchanges, NotVisible) else exchanges:
        is_declared = one["type"] == "topic" and one["durable"]
        if states.get(one["name"], ("",))[0] == _REFUSED and is_declared:
            states[one["name"]] = _EQUAL, ""
    for queue in declared.queues:
        state, seen = await _compare(link, _queue(queue))
        managed = {} if isinstance(queues, NotVisible) else queues.get(queue.name, {})
        if managed and state in {_DIFFERS, _REFUSED}:
            differing = "; ".join(_differences(queue, managed))
            state, seen = (_DIFFERS, differing) if differing else (_EQUAL, "")
        states[queue.name] = state, seen
    of_state = {kind: [name for name, (state, _) in states.items() if state == kind] for kind in _STATES}
    checks = [
        failed(AREA, name, f"differs: {states[name][1]}", f"{MIGRATION}: arguments cannot be changed")
        for name in of_state[_DIFFERS]
    ]
    name = "exchanges and queues"
    if of_state[_MISSING]:
        checks.append(failed(AREA, name, f"missing: {', '.join(of_state[_MISSING])}", FIX))
    elif of_state[_REFUSED]:
        seen = f"AMQP compares arguments only for a user with the right to configure: {of_state[_REFUSED][0]}"
        checks.append(unseen(AREA, name, seen, f"{_SET}, or give the right"))
    elif not checks:
        checks.append(passed(AREA, name, "as declared"))
    lacking = _lacking(declared, bindings)
    checks.append(_bindings(declared, bindings, lacking))
    if not isinstance(queues, NotVisible):
        known = {queue.name for queue in declared.queues}
        checks += [
            passed(
                AREA, name, f"left over; its {seen.get('messages', 0)} messages go back to work by themselves"
            )
            for name, seen in sorted(queues.items())
            if name.startswith(f"{WORK_QUEUE}.retry.") and name not in known
        ]
    missing = Topology(
        exchanges=tuple(one for one in declared.exchanges if one in of_state[_MISSING]),
        queues=tuple(one for one in declared.queues if one.name in of_state[_MISSING]),
        bindings=tuple(one for one in lacking if not {one.exchange, one.queue} & set(of_state[_DIFFERS])),
        delays=declared.delays,
    )
    return checks, missing


_EQUAL, _DIFFERS, _MISSING, _REFUSED = _STATES = ("equal", "different", "missing", "refused")


async def _compare(link: AbstractConnection, declare: Step) -> tuple[str, str]:
    """Passive first: an active declaration of what is missing would make it."""
    channel = await (await open_channel(link)).get_underlay_channel()
    async with boundary(CALL_SECONDS, ConnectionLost):
        try:
            await declare(channel, True)
            await declare(channel, False)
        except ChannelNotFoundEntity:
            return _MISSING, ""
        except (ChannelPreconditionFailed, ChannelAccessRefused) as error:
            text = " ".join(str(part) for part in error.args if part is not None)
            state = _DIFFERS if isinstance(error, ChannelPreconditionFailed) else _REFUSED
            return state, text.partition(" - ")[2] or text
        await channel.close()
    return _EQUAL, ""


def _exchange(name: str) -> Step:
    return lambda channel, passive: channel.exchange_declare(
        name, exchange_type="topic", durable=True, passive=passive
    )


def _queue(queue: Queue) -> Step:
    return lambda channel, passive: channel.queue_declare(
        queue.name, durable=True, passive=passive, arguments=dict(queue.arguments)
    )


def _differences(queue: Queue, seen: Mapping[str, Any]) -> Iterator[str]:
    """What differs between a declared queue and the broker's, argument by argument."""
    found = {"x-queue-type": seen.get("type"), **(seen.get("arguments") or {})}
    if not seen.get("durable"):
        yield "not durable, declared durable"
    for name in sorted(queue.arguments.keys() | found.keys()):
        declared, actual = queue.arguments.get(name), found.get(name)
        if declared != actual:
            yield f"{name} is {_shown(actual)}, declared {_shown(declared)}"


def _shown(value: object) -> str:
    return "absent" if value is None else str(value)


def _lacking(declared: Topology, bindings: Sequence[Mapping[str, Any]] | NotVisible) -> list[Binding]:
    """Bindings that are not there, or that nobody can see."""
    if isinstance(bindings, NotVisible):
        return list(declared.bindings)
    there = {
        (one["source"], one["routing_key"], one["destination"])
        for one in bindings
        if one["destination_type"] == "queue"
    }
    return [one for one in declared.bindings if (one.exchange, one.routing_key, one.queue) not in there]


def _bindings(
    declared: Topology, bindings: Sequence[Mapping[str, Any]] | NotVisible, lacking: Sequence[Binding]
) -> Check:
    if isinstance(bindings, NotVisible):
        return unseen(AREA, "bindings", bindings.reason, _SET)
    if not lacking:
        return passed(AREA, "bindings", f"{len(declared.bindings)} as declared")
    names = "; ".join(f"{one.exchange} -- {one.routing_key} -> {one.queue}" for one in lacking)
    return failed(AREA, "bindings", f"missing: {names}", FIX)


def check_policies(
    declared: Topology,
    queues: Mapping[str, Mapping[str, Any]] | NotVisible,
    policies: Sequence[Mapping[str, Any]] | NotVisible,
    operators: Sequence[Mapping[str, Any]] | NotVisible,
) -> list[Check]:
    """Which policies break a guarantee: those of the vhost, and what the queues say is in effect.

    Policies win over, or join, a queue's arguments. The queues' own words are some seconds late; the policies
    are those of now. Of several that match a queue the one of the highest priority counts, beside one
    operator policy.
    """
    for found in (queues, policies, operators):
        if isinstance(found, NotVisible):
            return [unseen(AREA, "policies", found.reason, _SET)]
    assert not isinstance(queues, NotVisible)  # noqa: S101 (for mypy)
    broken: dict[tuple[str, str], Check] = {}
    for queue in declared.queues:
        seen = queues.get(queue.name, {})
        user, operators_own = (_in_effect(queue.name, one) for one in (policies, operators))
        own = {"name": seen.get("policy") or seen.get("operator_policy")}
        own["definition"] = seen.get("effective_policy_definition")
        last = "" if seen.get("policy") else "operator_"
        for kind, policy in (("", user), ("operator_", operators_own), (last, own)):
            for key, value in (policy.get("definition") or {}).items():
                if key in BREAKS:
                    what = f"{policy['name']} sets {key}={value} on {queue.name}: {BREAKS[key]}"
                    remedy = f"rabbitmqctl clear_{kind}policy -p VHOST {policy['name']}"
                    broken.setdefault((queue.name, key), failed(AREA, "policies", what, remedy))
    return list(broken.values()) or [passed(AREA, "policies", "none that breaks a guarantee")]


def _in_effect(queue: str, policies: Any) -> Mapping[str, Any]:
    """The one of the highest priority that is for this (quorum) queue."""
    matching = [one for one in policies if _matches(one, queue)]
    return max(matching, key=lambda one: one.get("priority", 0), default={})


def _matches(policy: Mapping[str, Any], queue: str) -> bool:
    """Erlang's regular expressions are near Python's."""
    if policy.get("apply-to", "all") not in {"all", "queues", "quorum_queues"}:
        return False
    try:
        return re.search(policy["pattern"], queue) is not None
    except re.error:
        return False
