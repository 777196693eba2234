"""What may leave the process of a span, under the names of OpenTelemetry's semantic conventions. Pure.

Instrumentations record exceptions with their texts (which hold paths, and so a PatientID), URLs with their
queries, and headers if a variable says so. So nothing goes on but attributes that are listed here; of an
exception only its type.
"""

from collections.abc import Mapping
from typing import Final

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanKind
from opentelemetry.trace.status import Status
from opentelemetry.util.types import Attributes, AttributeValue

ALLOWED: Final = frozenset(
    {
        # HTTP
        "http.request.method",
        "http.request.resend_count",
        "http.response.status_code",
        "url.full",
        # network
        "server.address",
        "server.port",
        "client.address",
        "client.port",
        "network.peer.address",
        "network.peer.port",
        "network.protocol.name",
        "network.protocol.version",
        "error.type",
        # messaging
        "messaging.system",
        "messaging.operation.name",
        "messaging.operation.type",
        "messaging.destination.name",
        "messaging.message.id",
        # our own
        "dicom.association_id",
        "dicom.calling_ae_title",
        "dicom.called_ae_title",
        "dicom.sop_class_uid",
        "dicom.sop_instance_uid",
        "dicom.series_instance_uid",
        "dicom.transfer_syntax_uid",
        "dicom.status",
        "dicom.released",
        "dicom.instances_stored",
        "dicom.instances_refused",
        "lapidicom.id",
        "lapidicom.outcome",
        "lapidicom.reason",
        "lapidicom.attempts",
        "lapidicom.dead_letter",
        "lapidicom.delivery_count",
    }
)

_NAMES_OF_AIO_PIKA: Final = {
    "messaging.destination": "messaging.destination.name",
    "messaging.operation": "messaging.operation.type",
    "net.peer.name": "server.address",
    "net.peer.port": "server.port",
}
"""From the draft of the conventions that opentelemetry-instrumentation-aio-pika follows to today's."""


def filtered(span: ReadableSpan) -> ReadableSpan:
    """The span as it may leave the process."""
    events = [_event(event) for event in span.events if event.name == "exception"]
    attributes = _attributes(span.attributes or {})
    name = span.name
    if span.kind is SpanKind.PRODUCER and "messaging.system" in attributes:
        name, attributes = _publish(attributes)
    if events and "error.type" not in attributes and not span.status.is_ok:
        attributes |= {"error.type": (events[-1].attributes or {}).get("exception.type", "_OTHER")}
    return ReadableSpan(
        name=name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        events=events,
        links=[Link(link.context) for link in span.links],
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=_scope(span.instrumentation_scope),
    )


def _attributes(attributes: Mapping[str, AttributeValue]) -> dict[str, AttributeValue]:
    kept: dict[str, AttributeValue] = {}
    for name, value in attributes.items():
        today = _NAMES_OF_AIO_PIKA.get(name, name)
        if today in ALLOWED and (today == name or today not in attributes):
            kept[today] = _bare_url(str(value)) if today == "url.full" else value
    return kept


def _publish(attributes: dict[str, AttributeValue]) -> tuple[str, dict[str, AttributeValue]]:
    """Name and attributes of a publication; aio-pika's destination is `exchange,routing key`."""
    destination = str(attributes.get("messaging.destination.name", "")).replace(",", ":", 1)
    return f"publish {destination}", attributes | {
        "messaging.destination.name": destination,
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
    }


def _bare_url(url: str) -> str:
    """Without query, fragment and credentials."""
    bare = url.partition("#")[0].partition("?")[0]
    scheme, separator, rest = bare.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}" if separator else bare


def _event(event: Event) -> Event:
    attributes: Attributes = {
        name: value for name, value in (event.attributes or {}).items() if name == "exception.type"
    }
    return Event("exception", attributes, event.timestamp)


def _scope(scope: InstrumentationScope | None) -> InstrumentationScope | None:
    """Schema URLs stand for the names of one version of the conventions; ours are of none of them."""
    return None if scope is None else InstrumentationScope(scope.name, scope.version)
