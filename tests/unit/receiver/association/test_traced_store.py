"""C-STORE with spans: what is shown of an instance, and that its record carries the context of its span."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import SpanKind, StatusCode

from lapidicom.common.journal.records import Record
from lapidicom.receiver.association.counters import Counters
from lapidicom.receiver.association.traced_store import TracedStoreSCP
from lapidicom.receiver.dimse.command import decode_command
from lapidicom.receiver.errors import Refusal
from tests.support.byte_scripts import store_command
from tests.support.instances import ROOT, Instance, instance
from tests.support.store_fakes import ASSOCIATION, FakeInstanceStore, FakeJournal, FakeLog, context_for


@pytest.fixture(autouse=True)
def _context_of_its_own() -> Iterator[None]:
    """An association's thread ends with it; the thread of the tests does not."""
    token = context.attach(context.Context())
    yield
    context.detach(token)


class Room:
    """A traced C-STORE SCP on fakes."""

    def __init__(self, sampler: Sampler = ALWAYS_ON) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.store = FakeInstanceStore()
        self.journal = FakeJournal(self.store)
        fakes: tuple[Any, Any] = (self.store, self.journal)
        self.service = TracedStoreSCP(
            ASSOCIATION, *fakes, Counters(), FakeLog(), tracer=provider.get_tracer("test")
        )

    def begin(self, one: Instance) -> None:
        command = decode_command(store_command(1, one.sop_instance, one.sop_class))
        self.service.begin(command, context_for(one))
        self.service.feed(memoryview(one.data_set))

    def send(self, one: Instance) -> None:
        self.begin(one)
        with contextlib.suppress(Refusal):
            self.service.finish()

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def records(self, kind: str) -> list[Record]:
        appended = [record for entry in self.journal.entries for record in entry.records]
        return [record for record in appended + self.journal.quiet if record.kind == kind]


def traceparent(span: ReadableSpan) -> str:
    return f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-"


def test_each_instance_has_a_span_within_that_of_the_association() -> None:
    room = Room()
    room.send(instance(1))
    room.send(instance(2))
    room.service.end(released=True)
    first, second, association = room.spans
    assert (association.name, association.kind, association.parent) == ("association", SpanKind.SERVER, None)
    for number, span in enumerate((first, second), 1):
        assert span.name == "store"
        assert span.parent == association.context
        assert (span.attributes or {})["dicom.sop_instance_uid"] == f"{ROOT}.1.{number}"
        assert (span.attributes or {})["dicom.status"] == "0x0000"
        assert span.status.status_code is StatusCode.UNSET


def test_a_record_carries_the_context_of_its_instance_and_an_end_that_of_the_association() -> None:
    room = Room()
    room.send(instance(1))
    room.send(instance(2))
    room.service.end(released=True)
    *stores, association = room.spans
    received = room.records("instance_received")
    for span, record in zip(stores, received, strict=True):
        assert record.header_fields()["traceparent"].startswith(traceparent(span))
    (ended,) = room.records("series_ended")
    assert ended.header_fields()["traceparent"].startswith(traceparent(association))
    assert not room.records("association_ended")[0].headers


def test_a_refusal_is_an_error_with_its_status() -> None:
    room = Room()
    room.send(instance(1, without=("StudyDate",)))
    (span,) = room.spans
    assert (span.attributes or {})["dicom.status"] == "0xC000"
    assert span.status.status_code is StatusCode.ERROR


def test_an_instance_that_breaks_off_has_no_status() -> None:
    room = Room()
    room.begin(instance(1))
    room.service.end(released=False)
    span, association = room.spans
    assert "dicom.status" not in (span.attributes or {})
    assert span.status.status_code is association.status.status_code is StatusCode.ERROR
    assert (association.attributes or {})["dicom.released"] is False


def test_what_is_no_uid_is_not_shown() -> None:
    room = Room()
    one = instance(1)
    command = decode_command(store_command(1, "Quastenflosser", one.sop_class))
    room.service.begin(command, context_for(one))
    with pytest.raises(Refusal):
        room.service.finish()
    assert "Quastenflosser" not in json.dumps([json.loads(span.to_json()) for span in room.spans])


def test_without_a_sample_there_is_no_span_but_records_say_so() -> None:
    room = Room(ALWAYS_OFF)
    room.send(instance(1))
    room.service.end(released=True)
    assert room.spans == []
    (record,) = room.records("instance_received")
    sampled = int(record.header_fields()["traceparent"].rpartition("-")[2], 16) & 1
    assert not sampled
