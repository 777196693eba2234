"""What leaves the process in a span: listed attributes, types of exceptions, bare URLs; never a text."""

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Span, SpanKind, StatusCode

from lapidicom.common.telemetry.exporter import GuardedExporter
from tests.support.instances import PATIENT, leaks

Export = Callable[..., ReadableSpan]


@pytest.fixture
def export() -> Export:
    """Make a span, let something happen in it, and return what the collector gets."""
    inner = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(GuardedExporter(inner)))
    tracer = provider.get_tracer("test")

    def run(
        within: Callable[[Span], object] = lambda _: None,
        name: str = "a span",
        kind: SpanKind = SpanKind.INTERNAL,
        **attributes: Any,
    ) -> ReadableSpan:
        named = {name.replace("__", "."): value for name, value in attributes.items()}
        try:
            with tracer.start_as_current_span(name, kind=kind, attributes=named) as span:
                within(span)
        except OSError:
            pass
        return inner.get_finished_spans()[-1]

    return run


def test_an_exception_is_exported_by_its_type_alone(export: Export) -> None:
    def fail(_: Span) -> None:
        raise FileNotFoundError(2, "No such file", f"SERVICES/PACS/{PATIENT['PatientID']}-DOE")

    span = export(fail)
    (event,) = span.events
    assert event.attributes == {"exception.type": "FileNotFoundError"}
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
    assert (span.attributes or {})["error.type"] == "FileNotFoundError"
    assert leaks(span.to_json(), ["DOE"]) == []


def test_attributes_that_nobody_listed_stay_here(export: Export) -> None:
    span = export(
        dicom__sop_instance_uid="1.2.3",
        dicom__PatientName=PATIENT["PatientName"],
        http__request__header__authorization="Token 0815",
    )
    assert span.attributes == {"dicom.sop_instance_uid": "1.2.3"}


def test_events_and_link_attributes_stay_here(export: Export) -> None:
    def happen(span: Span) -> None:
        span.add_event("note", {"text": PATIENT["PatientName"]})
        span.add_link(span.get_span_context(), {"text": PATIENT["PatientName"]})

    span = export(happen)
    assert span.events == ()
    (link,) = span.links
    assert not link.attributes


@pytest.mark.parametrize(
    ("url", "exported"),
    [
        ("http://cube:8000/api/v1/pacsfiles/", "http://cube:8000/api/v1/pacsfiles/"),
        ("http://cube/api/v1/search/?PatientID=KRNK-7731-ZX", "http://cube/api/v1/search/"),
        ("https://chris:secret@cube/api/?a=b#c", "https://cube/api/"),
        ("http://cube", "http://cube"),
        ("http://cube?PatientID=KRNK-7731-ZX", "http://cube"),
    ],
)
def test_a_url_is_exported_without_query_and_credentials(export: Export, url: str, exported: str) -> None:
    assert export(url__full=url).attributes == {"url.full": exported}


def test_a_publication_bears_the_names_of_todays_conventions(export: Export) -> None:
    span = export(
        name="lapidicom,instance.stored send",
        kind=SpanKind.PRODUCER,
        messaging__system="rabbitmq",
        messaging__destination="lapidicom,instance.stored",
        messaging__temp_destination=True,
        net__peer__name="broker",
        net__peer__port=5672,
    )
    assert span.name == "publish lapidicom:instance.stored"
    assert span.attributes == {
        "messaging.system": "rabbitmq",
        "messaging.destination.name": "lapidicom:instance.stored",
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
        "server.address": "broker",
        "server.port": 5672,
    }


def test_what_we_said_of_a_destination_stands_against_the_instrumentation(export: Export) -> None:
    def process(span: Span) -> None:
        span.set_attribute("messaging.destination.name", "lapidicom:a:queue")

    span = export(process, kind=SpanKind.CONSUMER, messaging__destination="lapidicom")
    assert span.attributes == {"messaging.destination.name": "lapidicom:a:queue"}


def test_identity_and_times_of_a_span_are_kept(export: Export) -> None:
    seen: list[Any] = []
    span = export(lambda span: seen.append(span.get_span_context()))
    assert span.context == seen[0]
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.resource.attributes["telemetry.sdk.name"] == "opentelemetry"
