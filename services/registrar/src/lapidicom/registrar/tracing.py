"""Traces of a registrar: RabbitMQ and CUBE's clients instrumented, deliveries observed.

Imported only if the process makes traces.
"""

import httpx
from opentelemetry.instrumentation.httpx import AsyncOpenTelemetryTransport

from lapidicom.common.broker.tracing import TracedDelivery, instrument
from lapidicom.common.telemetry import Tracing
from lapidicom.registrar.consumer.traced_deliveries import TracedDeliveries
from lapidicom.registrar.observation import Observation


def traced(tracing: Tracing) -> Observation:
    """Make a registrar's parts traced. Probes belong to no message: no spans."""
    instrument(tracing)

    def observed(transport: httpx.AsyncBaseTransport) -> httpx.AsyncBaseTransport:
        return AsyncOpenTelemetryTransport(transport, tracer_provider=tracing.provider)

    return Observation(TracedDeliveries, TracedDelivery, observed)
