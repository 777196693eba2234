"""Traces through RabbitMQ, by opentelemetry-instrumentation-aio-pika.

It makes a PRODUCER span of each publish and writes the trace context into the message's headers; of each
call of a consumer's callback it makes a CONSUMER span. What is added here is the context on both
sides: from a record to its publication, and from a delivery to the worker that has it in hand.

Imported only by processes that make traces.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import structlog
from aio_pika.abc import AbstractIncomingMessage
from opentelemetry import context, propagate, trace
from opentelemetry.instrumentation.aio_pika import AioPikaInstrumentor
from opentelemetry.trace import Span

from lapidicom.common.broker.consumer import Consumer, Delivery
from lapidicom.common.broker.publisher import Envelope
from lapidicom.common.telemetry import Tracing


def instrument(tracing: Tracing) -> None:
    """Instrument aio-pika in this process."""
    instrumentor = AioPikaInstrumentor()
    if not instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.instrument(tracer_provider=tracing.provider)
    if not instrumentor.is_instrumented_by_opentelemetry:  # it does not know this version of aio-pika
        structlog.get_logger().error("tracing_incomplete", library="aio-pika")


class PublishesEnvelopes(Protocol):
    """What publishes."""

    async def publish(self, envelope: Envelope) -> None:
        """Return once the message is confirmed."""


class ContinuingPublisher:
    """Publishes within the trace that an envelope's headers carry.

    Args:
        publisher: publishes.
    """

    def __init__(self, publisher: PublishesEnvelopes) -> None:
        self._publisher = publisher

    async def publish(self, envelope: Envelope) -> None:
        """Publish; raises what the publisher raises."""
        token = context.attach(propagate.extract(envelope.headers))
        try:
            await self._publisher.publish(envelope)
        finally:
            context.detach(token)


class TracedDelivery(Delivery):
    """A delivery whose CONSUMER span lasts until it is out of hand.

    Made within the span, which the instrumentation ends when the consumer's callback returns.
    """

    __slots__ = ("_context", "_out_of_hand", "_span")

    def __init__(self, message: AbstractIncomingMessage, consumer: Consumer) -> None:
        super().__init__(message, consumer)
        self._context = context.get_current()
        self._span = trace.get_current_span()
        self._out_of_hand = asyncio.get_running_loop().create_future()
        if self._span.is_recording():
            queue = consumer.queue
            destination = destination_name(message.exchange or "", message.routing_key or "", queue)
            self._span.update_name(f"process {destination}")
            self._span.set_attributes(
                {
                    "messaging.destination.name": destination,
                    "messaging.operation.name": "process",
                    "messaging.operation.type": "process",
                    "lapidicom.id": self.lapidicom_id,
                    "lapidicom.delivery_count": self.count,
                }
            )

    async def last(self) -> None:
        """Keep the consumer's callback until the delivery is out of hand."""
        await self._out_of_hand

    @contextmanager
    def in_hand(self) -> Iterator[Span]:
        """Work on it within its span; what is published or requested meanwhile is part of the trace."""
        token = context.attach(self._context)
        try:
            yield self._span
        finally:
            context.detach(token)
            if not self._out_of_hand.done():
                self._out_of_hand.set_result(None)


def destination_name(exchange: str, routing_key: str, queue: str) -> str:
    """`messaging.destination.name` of a consumer, as the conventions for RabbitMQ put it together."""
    parts = (exchange, routing_key if routing_key != queue else "", queue)
    return ":".join(part for part in parts if part)
