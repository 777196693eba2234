"""Compares the declared topology with the broker's, by AMQP and, where it is, by the management API."""

from collections.abc import Mapping
from typing import Final

from aio_pika.abc import AbstractConnection

from lapidicom.cli.broker_look import Compared, Comparison, compare_exchange, compare_queue
from lapidicom.cli.errors import NotVisible
from lapidicom.cli.management import NO_MANAGEMENT, ManagedBinding, ManagedExchange, ManagedQueue, Management
from lapidicom.cli.topology import migration
from lapidicom.cli.topology.policies import broken_guarantees
from lapidicom.cli.topology.report import Kind, Report, Row, State, binding_name, differences, left_over
from lapidicom.common.topology import WORK_QUEUE, Queue, Topology

DELAY_PREFIX: Final = f"{WORK_QUEUE}.retry."

_STATES: Final = {
    Comparison.EQUAL: State.EQUAL,
    Comparison.MISSING: State.MISSING,
    Comparison.DIFFERENT: State.DIFFERENT,
}


async def look(
    link: "AbstractConnection", management: Management | None, declared: Topology, vhost: str
) -> Report:
    """Compare; changes nothing.

    Args:
        link: to the broker.
        management: the management API, where it is.
        declared: the topology.
        vhost: its name, for the steps of a migration.

    Raises:
        BrokerError: the broker does not answer.
    """
    exchanges = NO_MANAGEMENT if management is None else await management.exchanges()
    queues = NO_MANAGEMENT if management is None else await management.queues()
    bindings = NO_MANAGEMENT if management is None else await management.bindings()
    policies = NO_MANAGEMENT if management is None else await management.policies()
    rows = [
        _exchange_row(name, await compare_exchange(link, name), exchanges, vhost)
        for name in declared.exchanges
    ]
    rows.extend(
        [_queue_row(queue, await compare_queue(link, queue), queues, vhost) for queue in declared.queues]
    )
    rows.extend(_binding_rows(declared, bindings))
    if isinstance(queues, NotVisible):
        return Report(tuple(rows), queues)
    rows.extend(
        Row(Kind.QUEUE, name, State.LEFT_OVER, "no delay of the settings here")
        for name in left_over(list(queues), declared, DELAY_PREFIX)
    )
    if isinstance(policies, NotVisible):
        return Report(tuple(rows), policies)
    return Report(tuple(rows), broken_guarantees(declared.queues, queues, policies))


def _exchange_row(
    name: str, compared: Compared, managed: "Mapping[str, ManagedExchange] | NotVisible", vhost: str
) -> Row:
    state = _STATES.get(compared.comparison)
    told = compared.told
    if state is None:
        if isinstance(managed, NotVisible) or name not in managed:
            return Row(Kind.EXCHANGE, name, State.NOT_VISIBLE, _no_right(compared))
        one = managed[name]
        is_equal = one.kind == "topic" and one.durable
        state = State.EQUAL if is_equal else State.DIFFERENT
        told = (
            "" if is_equal else f"{one.kind}{'' if one.durable else ', not durable'}; declared topic, durable"
        )
    steps = migration.of_exchange(name, vhost) if state is State.DIFFERENT else ()
    return Row(Kind.EXCHANGE, name, state, told, steps)


def _queue_row(
    queue: Queue, compared: Compared, managed: "Mapping[str, ManagedQueue] | NotVisible", vhost: str
) -> Row:
    """The broker's own comparison counts; the API tells all that differs, not only the first."""
    state = _STATES.get(compared.comparison)
    told = compared.told
    if state in {State.EQUAL, State.MISSING}:
        return Row(Kind.QUEUE, queue.name, state)
    one = None if isinstance(managed, NotVisible) else managed.get(queue.name)
    if one is not None:
        differing = differences(queue, one.kind, durable=one.durable, arguments=one.arguments)
        if state is None:
            state = State.DIFFERENT if differing else State.EQUAL
        told = "; ".join(differing) or told
    elif state is None:
        return Row(Kind.QUEUE, queue.name, State.NOT_VISIBLE, _no_right(compared))
    if state is State.EQUAL:
        return Row(Kind.QUEUE, queue.name, state)
    return Row(Kind.QUEUE, queue.name, State.DIFFERENT, told, migration.of_queue(queue.name, vhost))


def _binding_rows(declared: Topology, managed: "frozenset[ManagedBinding] | NotVisible") -> list[Row]:
    rows = []
    for binding in declared.bindings:
        name = binding_name(binding.exchange, binding.routing_key, binding.queue)
        if isinstance(managed, NotVisible):
            rows.append(Row(Kind.BINDING, name, State.NOT_VISIBLE, managed.reason))
            continue
        there = ManagedBinding(binding.exchange, binding.routing_key, binding.queue) in managed
        rows.append(Row(Kind.BINDING, name, State.EQUAL if there else State.MISSING))
    return rows


def _no_right(compared: Compared) -> str:
    return f"AMQP compares arguments only for a user with the right to configure: {compared.told}"
