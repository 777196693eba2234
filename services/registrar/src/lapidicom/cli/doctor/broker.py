"""Checks of RabbitMQ: version, feature flags, alarms, rights, topology and policies. Nothing is changed."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from aio_pika.abc import AbstractConnection

from lapidicom.cli.broker_look import may_bind, may_configure_queue, may_consume, may_publish, version
from lapidicom.cli.dead_letters.lock import lock_of
from lapidicom.cli.doctor.check import Check, failed, passed, unseen
from lapidicom.cli.errors import NotVisible
from lapidicom.cli.management import NO_MANAGEMENT, Management
from lapidicom.cli.topology.looking import look
from lapidicom.cli.topology.report import Kind, Report, State
from lapidicom.common.topology import AUDIT_QUEUE, DEAD_LETTER_QUEUE, REPLAY_QUEUE, WORK_QUEUE, Topology

AREA: Final = "RabbitMQ"
OLDEST: Final = (3, 10)
_FLAGS: Final = ("quorum_queue", "stream_queue")
_READ: Final = (WORK_QUEUE, DEAD_LETTER_QUEUE, AUDIT_QUEUE, REPLAY_QUEUE)
_RIGHTS: Final = "^lapidicom(\\..*)?$"
_MOST_NAMES: Final = 3
_SET: Final = "set AMQP_MANAGEMENT_URL"


async def check_broker(
    link: "AbstractConnection", management: Management | None, declared: Topology, vhost: str
) -> list[Check]:
    """All checks of RabbitMQ, once there is a connection.

    Raises:
        BrokerError: the broker does not answer.
    """
    report = await look(link, management, declared, vhost)
    flags = NO_MANAGEMENT if management is None else await management.feature_flags()
    alarms = NO_MANAGEMENT if management is None else await management.alarms()
    return [
        passed(AREA, "reachable", f"virtual host {vhost}"),
        check_version(version(link)),
        check_flags(flags),
        _alarms(alarms),
        *await _rights(link, declared),
        check_topology(report),
        check_bindings(report),
        check_policies(report),
    ]


def check_version(told: str) -> Check:
    """Whether this RabbitMQ is one on which lapidicom was tried."""
    try:
        found = tuple(int(part) for part in told.split(".")[:2])
    except ValueError:
        return unseen(AREA, "version", f"it says {told!r}")
    if found >= OLDEST:
        return passed(AREA, "version", told)
    return failed(AREA, "version", told, "RabbitMQ 3.10 or later: before it delayed messages can be lost")


def check_flags(flags: Mapping[str, str] | NotVisible) -> Check:
    """Whether the feature flags are on that quorum queues and at-least-once dead-lettering need."""
    name = "feature flags"
    if isinstance(flags, NotVisible):
        return unseen(AREA, name, flags, f"{_SET} with a user of the tag administrator")
    off = [flag for flag in _FLAGS if flags.get(flag, "enabled") != "enabled"]
    if not off:
        return passed(AREA, name, ", ".join(_FLAGS))
    return failed(
        AREA,
        name,
        f"off: {', '.join(off)}",
        "; ".join(f"rabbitmqctl enable_feature_flag {one}" for one in off),
    )


def _alarms(alarms: Sequence[str] | NotVisible) -> Check:
    if isinstance(alarms, NotVisible):
        return unseen(AREA, "alarms", alarms, _SET)
    if not alarms:
        return passed(AREA, "alarms", "none")
    return failed(
        AREA, "alarms", ", ".join(alarms), "free memory or disk: nothing can be published meanwhile"
    )


async def _rights(link: "AbstractConnection", declared: Topology) -> list[Check]:
    queues = [queue.name for queue in declared.queues]
    asked: list[tuple[str, Sequence[str], Callable[[AbstractConnection, str], Awaitable[bool]], str]] = [
        ("right to configure", [*queues, lock_of(DEAD_LETTER_QUEUE)], may_configure_queue, "configure"),
        ("right to publish", declared.exchanges, may_publish, "write"),
        ("right to bind", queues, may_bind, "write and read"),
        ("right to consume", _READ, may_consume, "read"),
    ]
    checks = []
    for name, names, may, right in asked:
        refused = [one for one in names if not await may(link, one)]
        if refused:
            remedy = f"rabbitmqctl set_permissions: {right} must match {_RIGHTS}"
            checks.append(failed(AREA, name, f"refused: {_listed(refused)}", remedy))
        else:
            checks.append(passed(AREA, name, f"{len(names)} names"))
    return checks


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def check_topology(report: Report) -> Check:
    """Whether all exchanges and queues are there as declared."""
    name = "exchanges and queues"
    wrong = [row for row in report.of(State.MISSING, State.DIFFERENT) if row.kind is not Kind.BINDING]
    if wrong:
        told = "; ".join(f"{row.name} {row.state}" for row in wrong)
        missing_only = all(row.state is State.MISSING for row in wrong)
        return failed(AREA, name, told, f"lapidicom topology {'apply' if missing_only else 'check'}")
    hidden = [row for row in report.of(State.NOT_VISIBLE) if row.kind is not Kind.BINDING]
    if hidden:
        return unseen(AREA, name, hidden[0].told, f"{_SET}, or give the right to configure")
    return passed(AREA, name, "as declared")


def check_bindings(report: Report) -> Check:
    """Whether all bindings are there."""
    bindings = [row for row in report.rows if row.kind is Kind.BINDING]
    missing = [row.name for row in bindings if row.state is State.MISSING]
    if missing:
        return failed(AREA, "bindings", f"missing: {'; '.join(missing)}", "lapidicom topology apply")
    hidden = [row for row in bindings if row.state is State.NOT_VISIBLE]
    if hidden:
        return unseen(AREA, "bindings", hidden[0].told, _SET)
    return passed(AREA, "bindings", f"{len(bindings)} as declared")


def check_policies(report: Report) -> Check:
    """Whether a policy breaks a guarantee."""
    broken = report.broken
    if isinstance(broken, NotVisible):
        return unseen(AREA, "policies", broken, _SET)
    if not broken:
        return passed(AREA, "policies", "none that breaks a guarantee")
    told = "; ".join(f"{one.policy} sets {one.key} on {one.queue}" for one in broken)
    return failed(AREA, "policies", told, "lapidicom topology check tells why; clear them")
