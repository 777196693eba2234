"""C-STORE with spans: one (SERVER) for the association, one in it for each instance.

Each record carries the context of its instance's span, so that its message, published by another
process and perhaps hours later, joins the trace. Imported only by processes that make traces.
"""

from typing import Any, Final

from opentelemetry import context, propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

from lapidicom.common.journal import records
from lapidicom.receiver.association.counters import Counters
from lapidicom.receiver.association.series import AssociationInfo
from lapidicom.receiver.association.store import StoreSCP
from lapidicom.receiver.dimse.command import Command
from lapidicom.receiver.errors import Refusal
from lapidicom.receiver.journal.writer import Journal
from lapidicom.receiver.storage.instance_file import InstanceStore
from lapidicom.receiver.upper_layer.presentation_context import ContextResult

_ATTRIBUTE_OF: Final = {
    "SOPClassUID": "dicom.sop_class_uid",
    "SOPInstanceUID": "dicom.sop_instance_uid",
    "SeriesInstanceUID": "dicom.series_instance_uid",
}


class TracedStoreSCP(StoreSCP):
    """The C-STORE SCP of one association, observed.

    Made and used in the thread of the association, whose log lines bear the trace from then on.

    Args:
        association: who sends.
        store: where instances are placed.
        journal: where their records go.
        counters: of this association.
        log: bound to the association.
        tracer: makes the spans.
    """

    def __init__(
        self,
        association: AssociationInfo,
        store: InstanceStore,
        journal: Journal,
        counters: Counters,
        log: Any,
        *,
        tracer: Tracer,
    ) -> None:
        super().__init__(association, store, journal, counters, log)
        self._tracer = tracer
        self._association_span = tracer.start_span(
            "association", Context(), SpanKind.SERVER, attributes=_about(association)
        )
        self._trace_context = trace.set_span_in_context(self._association_span, Context())
        self._association_trace = self._series.trace = _carried(self._trace_context)
        self._is_sampled = self._association_span.is_recording()
        self._span: Span | None = None
        context.attach(self._trace_context)  # for log lines; it ends with the thread

    def begin(self, command: Command, context: ContextResult) -> None:
        """Take a C-STORE-RQ."""
        if self._is_sampled:
            self._span = self._tracer.start_span("store", self._trace_context)
            self._series.trace = _carried(trace.set_span_in_context(self._span, Context()))
        super().begin(command, context)

    def finish(self) -> None:
        """Store the instance; raises what the store raises."""
        status = 0
        try:
            super().finish()
        except Refusal as refusal:
            status = refusal.status
            raise
        finally:
            self._end_span(status)

    def cancel(self) -> None:
        """Drop an instance whose data set will not be completed."""
        super().cancel()
        self._end_span(None)

    def end(self, *, released: bool) -> None:
        """Record that the association has ended."""
        super().end(released=released)
        span, counters = self._association_span, self._counters
        span.set_attributes(
            {
                "dicom.released": released,
                "dicom.instances_stored": counters.instances_stored,
                "dicom.instances_refused": sum(counters.instances_refused.values()),
            }
        )
        if not released:
            span.set_status(StatusCode.ERROR)
        span.end()

    def _end_span(self, status: int | None) -> None:
        span, self._span = self._span, None
        self._series.trace = self._association_trace
        if span is None:
            return
        span.set_attribute("dicom.transfer_syntax_uid", self._context.transfer_syntax)
        for keyword, uid in self._uids().items():
            span.set_attribute(_ATTRIBUTE_OF[keyword], uid)
        if status is not None:
            span.set_attribute("dicom.status", f"0x{status:04X}")
        if status != 0:
            span.set_status(StatusCode.ERROR)
        span.end()


def _carried(span_context: Context) -> bytes:
    headers: dict[str, str] = {}
    propagate.inject(headers, span_context)
    return records.trace(headers)


def _about(association: AssociationInfo) -> dict[str, str | int]:
    host, _, port = association.peer_address.rpartition(":")
    about: dict[str, str | int] = {
        "network.protocol.name": "dicom",
        "network.peer.address": host.strip("[]"),
        "dicom.association_id": association.association_id,
        "dicom.calling_ae_title": association.calling_ae_title,
        "dicom.called_ae_title": association.called_ae_title,
    }
    return about | ({"network.peer.port": int(port)} if port.isdecimal() else {})
