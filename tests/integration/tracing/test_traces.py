"""One trace from the PACS' socket to CUBE, through receiver, RabbitMQ and registrar, seen at a collector."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from lapidicom.common.topology import DEAD_LETTER_QUEUE
from tests.support.faults import Fault
from tests.support.instances import ROOT, instance
from tests.support.otlp_collector import OtlpCollector, ReceivedSpan
from tests.support.polling import eventually
from tests.support.queues import look, take_all
from tests.support.whole_path import WholePath

CALLING = "TRACED"
PROCESS = "process lapidicom:instance.stored:lapidicom.registrations"
PUBLISH = "publish lapidicom:instance.stored"


@dataclass(frozen=True)
class Told:
    """What a run told: one association for each calling AE title.

    Attributes:
        spans: all that the collector got.
        letters: headers of the dead letters.
        lines: the log lines of all processes.
        cube_url: CHRIS_URL.
    """

    spans: list[ReceivedSpan]
    letters: list[dict[str, Any]]
    lines: list[dict[str, Any]]
    cube_url: str

    def trace(self, calling: str) -> list[ReceivedSpan]:
        """The spans of the association of this calling AE title."""
        (association,) = [
            span
            for span in self.spans
            if span.name == "association" and span.attributes["dicom.calling_ae_title"] == calling
        ]
        return [span for span in self.spans if span.trace_id == association.trace_id]

    def path(self, calling: str, name: str, **attributes: object) -> list[ReceivedSpan]:
        """The span of that name and attributes in that association, its parent, and so on."""
        spans = self.trace(calling)
        wanted = {key.replace("__", "."): value for key, value in attributes.items()}.items()
        (span,) = [one for one in spans if one.name == name and one.attributes.items() >= wanted]
        return path_to_root(span, spans)


def path_to_root(span: ReceivedSpan, spans: Sequence[ReceivedSpan]) -> list[ReceivedSpan]:
    """The span, its parent, and so on."""
    by_id = {one.span_id: one for one in spans}
    path = [span]
    while path[-1].parent_id:
        path.append(by_id[path[-1].parent_id])
    return path


def names(path: Sequence[ReceivedSpan]) -> list[str]:
    return [span.name for span in path]


@pytest.fixture(scope="module")
def told(amqp_url_of_module: str, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """A run with a success, a retry, a dead letter and a refusal, each in an association of its own."""
    folder = tmp_path_factory.mktemp("traced")
    with WholePath(folder, amqp_url_of_module) as path, OtlpCollector() as collector:
        cube = path.cube
        path.start(**collector.settings, CHRIS_VERBOSE="yes")
        cube.control.fail(500, "{}", count=2, path_contains="2.1.dcm")
        cube.control.fail(400, '{"path":["This field is wrong."]}', path_contains="3.1.dcm")
        assert path.send(CALLING, instance(1)) == [0]
        assert path.send("RETRIED", instance(1, series=2)) == [0]
        assert path.send("BURIED", instance(1, series=3)) == [0]
        assert path.send("REFUSED", instance(1, series=4, without=("StudyDate",))) == [0xC000]
        path.until_registered(2)
        eventually(lambda: look(path.amqp_url, DEAD_LETTER_QUEUE).ready == 1, 20, every=0.2)
        received = "process lapidicom:series.received:lapidicom.registrations"
        eventually(lambda: len(collector.named(received)) == 3, 20, what="the ends of three series")
        path.stop()
        letters = [dict(letter.headers) for letter in take_all(path.amqp_url, DEAD_LETTER_QUEUE)]
        lines = [*path.receivers[0].lines, *path.registrars[0].log()]
        return Told(collector.spans, letters, lines, cube.url)


def test_one_trace_leads_from_the_association_to_the_registration(told: Told) -> None:
    path = told.path(CALLING, "POST")
    assert [(span.service, span.name, span.kind) for span in path] == [
        ("lapidicom-registrar", "POST", "CLIENT"),
        ("lapidicom-registrar", PROCESS, "CONSUMER"),
        ("lapidicom-receiver", PUBLISH, "PRODUCER"),
        ("lapidicom-receiver", "store", "INTERNAL"),
        ("lapidicom-receiver", "association", "SERVER"),
    ]
    assert not any(span.is_error for span in path)


def test_each_of_its_spans_tells_what_the_conventions_name(told: Told) -> None:
    http, process, publish, store, association = (span.attributes for span in told.path(CALLING, "POST"))
    uids = {"dicom.sop_instance_uid": f"{ROOT}.1.1", "dicom.series_instance_uid": f"{ROOT}.1"}
    assert (
        http.items()
        >= {
            "http.request.method": "POST",
            "http.response.status_code": 201,
            "url.full": f"{told.cube_url}pacsfiles/",
            "server.address": "127.0.0.1",
        }.items()
    )
    assert (
        process.items()
        >= {
            **uids,
            "messaging.system": "rabbitmq",
            "messaging.operation.type": "process",
            "messaging.destination.name": "lapidicom:instance.stored:lapidicom.registrations",
            "lapidicom.outcome": "registered",
            "lapidicom.attempts": 0,
            "dicom.association_id": association["dicom.association_id"],
        }.items()
    )
    assert (
        publish.items()
        >= {
            "messaging.system": "rabbitmq",
            "messaging.operation.type": "send",
            "messaging.destination.name": "lapidicom:instance.stored",
        }.items()
    )
    assert store.items() >= {**uids, "dicom.status": "0x0000"}.items()
    assert (
        association.items()
        >= {
            "dicom.calling_ae_title": CALLING,
            "dicom.called_ae_title": "ChRIS",
            "dicom.instances_stored": 1,
            "dicom.instances_refused": 0,
            "dicom.released": True,
            "network.protocol.name": "dicom",
            "network.peer.address": "127.0.0.1",
        }.items()
    )


def test_the_end_of_a_series_joins_the_trace_of_its_association(told: Told) -> None:
    name = "process lapidicom:series.received:lapidicom.registrations"
    assert names(told.path(CALLING, name)) == [name, "publish lapidicom:series.received", "association"]


def test_log_lines_bear_the_trace_id(told: Told) -> None:
    trace_id = told.trace(CALLING)[0].trace_id
    of_the_trace = {line["event"] for line in told.lines if line.get("trace_id") == trace_id}
    assert of_the_trace == {
        "association_accepted",
        "instance_stored",
        "association_ended",
        "instance_registered",
        "series_received",
    }


def test_a_retried_registration_stays_in_its_trace(told: Told) -> None:
    path = told.path("RETRIED", "POST", http__response__status_code=201)
    assert names(path) == [
        "POST",
        "process lapidicom:lapidicom.registrations",
        "publish lapidicom:lapidicom.registrations.retry.1s",
        PROCESS,
        PUBLISH,
        "store",
        "association",
    ]
    first, second = path[3], path[1]
    assert first.is_error
    assert first.attributes["lapidicom.outcome"] == "retry"
    assert not second.is_error
    assert second.attributes["lapidicom.attempts"] == 1


def test_a_dead_letter_stays_in_its_trace_and_carries_it(told: Told) -> None:
    (headers,) = told.letters
    _, trace_id, span_id, _ = headers["traceparent"].split("-")
    (burial,) = [span for span in told.spans if span.span_id == span_id]
    assert (burial.trace_id, burial.kind) == (trace_id, "PRODUCER")
    assert burial.name.startswith("publish lapidicom.dead-letter")
    path = path_to_root(burial, told.trace("BURIED"))
    assert names(path[1:]) == [PROCESS, PUBLISH, "store", "association"]
    assert path[1].attributes["lapidicom.dead_letter"] is True
    assert path[1].is_error


def test_a_refused_instance_has_a_span_with_its_status(told: Told) -> None:
    refused, association = told.path("REFUSED", "store")
    assert refused.is_error
    assert refused.attributes["dicom.status"] == "0xC000"
    assert refused.attributes["dicom.sop_instance_uid"] == f"{ROOT}.4.1"
    assert association.attributes["dicom.instances_refused"] == 1
    assert not association.is_error


def test_an_instance_published_by_a_later_process_joins_its_trace(
    path: WholePath, collector: OtlpCollector
) -> None:
    kill = Fault("publish", "kill", role="relay", where="InstanceStored")
    path.start([kill], **collector.settings)
    killed = path.receivers[0].child("relay")
    assert path.send(CALLING, instance(1)) == [0]
    path.receivers[0].wait_for_other_child(killed, "relay")
    path.until_registered(1)
    path.stop()
    (post,) = [
        span for span in collector.named("POST") if span.attributes["url.full"].endswith("/pacsfiles/")
    ]
    spans = path_to_root(post, collector.spans)
    assert names(spans[-2:]) == ["store", "association"]
    assert len({span.trace_id for span in spans}) == 1


def test_an_association_that_is_not_sampled_has_no_spans_anywhere(
    path: WholePath, collector: OtlpCollector
) -> None:
    path.start(**collector.settings, OTEL_TRACES_SAMPLER="parentbased_always_off")
    assert path.send(CALLING, instance(1)) == [0]
    path.until_registered(1)
    path.stop()
    assert collector.spans == []
