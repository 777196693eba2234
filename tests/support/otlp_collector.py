"""A small OTLP/HTTP collector: takes spans as protobuf, or refuses them, or never answers."""

import contextlib
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1 import trace_pb2

Manner = Literal["takes", "refuses", "hangs"]


@dataclass(frozen=True)
class ReceivedSpan:
    """A span as the collector got it."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    is_error: bool
    attributes: dict[str, Any] = field(default_factory=dict)
    events: tuple[dict[str, Any], ...] = ()


class OtlpCollector:
    """Listens on a free port of the loopback interface; a context that ends it.

    Args:
        manner: how it answers.
    """

    def __init__(self, manner: Manner = "takes") -> None:
        self.requests = 0
        self.texts: list[str] = []
        self._manner = manner
        self._spans: list[ReceivedSpan] = []
        self._lock = threading.Lock()
        self._let_go = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._let_go.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    @property
    def settings(self) -> dict[str, str]:
        """The variables that send spans here, soon after they end."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self._server.server_port}",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }

    @property
    def spans(self) -> list[ReceivedSpan]:
        """All spans that were received so far."""
        with self._lock:
            return list(self._spans)

    def named(self, beginning: str) -> list[ReceivedSpan]:
        """The spans whose name begins so."""
        return [span for span in self.spans if span.name.startswith(beginning)]

    def answer(self, body: bytes) -> int:
        """Take a request, and say with which status it is answered."""
        with self._lock:
            self.requests += 1
        if self._manner == "hangs":
            self._let_go.wait()
            return 503
        if self._manner == "refuses":
            return 400
        request = ExportTraceServiceRequest.FromString(body)
        with self._lock:
            self.texts.append(str(request))
            self._spans.extend(_spans(request))
        return 200


def _handler(collector: OtlpCollector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # the peer was killed
                super().handle()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = collector.answer(body) if self.path == "/v1/traces" else 404
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


def _spans(request: ExportTraceServiceRequest) -> Iterable[ReceivedSpan]:
    for of_resource in request.resource_spans:
        service = _values(of_resource.resource.attributes)["service.name"]
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield ReceivedSpan(
                    service=service,
                    name=span.name,
                    kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    is_error=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
                    attributes=_values(span.attributes),
                    events=tuple(_values(event.attributes) | {"": event.name} for event in span.events),
                )


def _values(attributes: Iterable[Any]) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
