"""Declares what is missing, and tells the audit; touches nothing that is there."""

from aio_pika.abc import AbstractConnection

from lapidicom.cli.audit import audited
from lapidicom.cli.publishing import publishing
from lapidicom.cli.topology.report import Kind, Report, State, binding_name
from lapidicom.common.broker.connection import CALL_SECONDS, open_channel
from lapidicom.common.broker.errors import ConnectionLost, boundary
from lapidicom.common.topology import AUDIT_QUEUE, EXCHANGE, Binding, Topology


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


async def apply_part(
    link: "AbstractConnection", amqp_url: str, part: Topology, *, command: str, why: str
) -> None:
    """Declare a part of the topology within the audit; where that is missing, it is declared first.

    Args:
        link: to the broker.
        amqp_url: for the audit's own connection.
        part: what `missing_part` has found.
        command: of the operator.
        why: the operator's reason.

    Raises:
        Refused: a right is missing.
        BrokerError: the broker does not answer, or the audit could not be told.
    """
    names = [*part.exchanges, *(queue.name for queue in part.queues)]
    if not names and not part.bindings:
        return
    await _declare(link, _of_audit(part))
    bindings = [binding_name(one.exchange, one.routing_key, one.queue) for one in part.bindings]
    async with (
        publishing(amqp_url, command) as publisher,
        audited(publisher, command, why=why, before={"missing": names, "bindings": bindings}) as after,
    ):
        await _declare(link, part)
        after.update(declared=names, bound=bindings)


def _of_audit(part: Topology) -> Topology:
    """What of it the audit needs."""
    return Topology(
        exchanges=tuple(name for name in part.exchanges if name == EXCHANGE),
        queues=tuple(queue for queue in part.queues if queue.name == AUDIT_QUEUE),
        bindings=tuple(one for one in part.bindings if one.queue == AUDIT_QUEUE),
        delays=part.delays,
    )


async def _declare(link: "AbstractConnection", part: Topology) -> None:
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
