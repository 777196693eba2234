"""Sets tracing up in a process: provider, batches in a background thread, trace ids in log lines."""

import logging
import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import structlog

from lapidicom.common.telemetry.wanted import decide

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

SHUTDOWN_SECONDS: Final = 2.0
"""For the last spans: a collector that does not answer must not hold up the end of a process."""

_SEMCONV: Final = "OTEL_SEMCONV_STABILITY_OPT_IN"


class Tracing:
    """Tracing of a process that has it on.

    Args:
        provider: makes tracers; the process has one.
    """

    def __init__(self, provider: "TracerProvider") -> None:
        self.provider: Final = provider

    def tracer(self, name: str) -> "Tracer":
        """The tracer of a module."""
        return self.provider.get_tracer(name)

    def shutdown(self, seconds: float = SHUTDOWN_SECONDS) -> None:
        """Send what is left; after `seconds` it is given up.

        The SDK's own shutdown waits up to 30 s, so it goes on, or ends with the process, in a daemon thread.
        """
        last = threading.Thread(target=self.provider.shutdown, name="last-spans", daemon=True)
        last.start()
        last.join(seconds)


def start(service: str, environ: Mapping[str, str] | None = None) -> Tracing | None:
    """Set tracing up if the OTEL_* variables ask for it.

    The SDK reads its own variables from this process's environment: endpoint, headers, sampler, limits.

    Args:
        service: `service.name`, unless the variables give another one.
        environ: the environment.

    Returns:
        None if no traces are wanted, or cannot be made; a service never fails for want of traces.
    """
    decision = decide(os.environ if environ is None else environ)
    if decision.unsupported:
        structlog.get_logger().warning("tracing_unsupported", setting=decision.unsupported)
    if not decision.on:
        return None
    # OpenTelemetry's instrumentations write the stable names of HTTP attributes only if it says so.
    os.environ.setdefault(_SEMCONV, "http")
    try:
        tracing = Tracing(_provider(service))
    except Exception as error:  # noqa: BLE001 -- logged; a service works without traces
        structlog.get_logger().error("tracing_failed", exc_info=error)
        return None
    _silence_exporter()
    _put_trace_ids_into_logs()
    structlog.get_logger().info("tracing_started", service=service)
    return tracing


def _provider(service: str) -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from lapidicom.common.telemetry.exporter import GuardedExporter

    provider = TracerProvider(resource=_resource(service), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(GuardedExporter(OTLPSpanExporter())))
    return provider


def _resource(service: str) -> "Resource":
    from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource

    is_named = SERVICE_NAME in OTELResourceDetector().detect().attributes
    return Resource.create({"process.pid": os.getpid()} | ({} if is_named else {SERVICE_NAME: service}))


def _silence_exporter() -> None:
    """The exporter logs each failed try; `GuardedExporter` tells when failing begins, and when it ends."""
    logger = logging.getLogger("opentelemetry.exporter")
    logger.setLevel(logging.CRITICAL + 1)
    logger.propagate = False


def _put_trace_ids_into_logs() -> None:
    from lapidicom.common.telemetry.log_lines import add_trace_ids

    structlog.configure(processors=[add_trace_ids, *structlog.get_config()["processors"]])
