"""Declares what is missing; touches nothing that is there."""

from typing import TYPE_CHECKING

from lapidicom.cli.topology.report import Kind, Report, State, binding_name
from lapidicom.common.broker.connection import CALL_SECONDS, open_channel
from lapidicom.common.broker.errors import ConnectionLost, boundary
from lapidicom.common.topology import Binding, Topology

if TYPE_CHECKING:
    from aio_pika.abc import AbstractConnection


def missing_part(declared: Topology, report: Report) -> Topology:
    """The part of the topology that is to be declared: what is missing, and bindings that nobody can see.

    A binding of a queue or exchange that differs is left alone: it would feed what must be replaced.
    Binding once more what is bound changes nothing.
    """
    missing = {(row.kind, row.name) for row in report.of(State.MISSING)}
    unseen = {(row.kind, row.name) for row in report.of(State.NOT_VISIBLE)}
    differing = {row.name for row in report.of(State.DIFFERENT)}

    def wanted(binding: Binding) -> bool:
        name = (Kind.BINDING, binding_name(binding.exchange, binding.routing_key, binding.queue))
        return name in missing | unseen and not {binding.exchange, binding.queue} & differing

    return Topology(
        exchanges=tuple(name for name in declared.exchanges if (Kind.EXCHANGE, name) in missing),
        queues=tuple(queue for queue in declared.queues if (Kind.QUEUE, queue.name) in missing),
        bindings=tuple(filter(wanted, declared.bindings)),
        delays=declared.delays,
    )


async def declare_missing(link: "AbstractConnection", part: Topology) -> None:
    """Declare a part of the topology.

    Raises:
        Refused: a right is missing.
        ConnectionLost: the broker does not answer.
    """
    channel = await (await open_channel(link)).get_underlay_channel()
    for exchange in part.exchanges:
        async with boundary(CALL_SECONDS, ConnectionLost):
            await channel.exchange_declare(exchange, exchange_type="topic", durable=True)
    for queue in part.queues:
        async with boundary(CALL_SECONDS, ConnectionLost):
            await channel.queue_declare(queue.name, durable=True, arguments=dict(queue.arguments))
    for binding in part.bindings:
        async with boundary(CALL_SECONDS, ConnectionLost):
            await channel.queue_bind(binding.queue, binding.exchange, binding.routing_key)
    async with boundary(CALL_SECONDS, ConnectionLost):
        await channel.close()
