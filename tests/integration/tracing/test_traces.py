"""One trace from the PACS' socket to CUBE, through receiver, RabbitMQ and registrar, seen at a collector."""

from collections.abc import Sequence

from lapidicom.common.topology import DEAD_LETTER_QUEUE
from tests.support.faults import Fault
from tests.support.instances import ROOT, instance
from tests.support.otlp_collector import OtlpCollector, ReceivedSpan
from tests.support.polling import eventually
from tests.support.queues import look, take_all
from tests.support.stack import CALLING, Stack

REGISTRATION = "SERVICES/PACS"
"""In the body of a registration."""


def path_to_root(span: ReceivedSpan, spans: Sequence[ReceivedSpan]) -> list[ReceivedSpan]:
    """The span, its parent, and so on."""
    by_id = {one.span_id: one for one in spans}
    path = [span]
    while path[-1].parent_id:
        path.append(by_id[path[-1].parent_id])
    return path


def the_post(collector: OtlpCollector, *, status: int = 201) -> ReceivedSpan:
    """The one registration that CUBE answered so."""
    posts = [
        span
        for span in collector.named("POST")
        if span.attributes.get("http.response.status_code") == status
        and span.attributes["url.full"].endswith("/pacsfiles/")
    ]
    assert len(posts) == 1, collector.spans
    return posts[0]


def test_one_trace_leads_from_the_association_to_the_registration(
    stack: Stack, collector: OtlpCollector
) -> None:
    stack.start(**collector.settings)
    assert stack.send(instance(1)) == [0]
    stack.until_registered(1)
    stack.stop()
    post = the_post(collector)
    path = path_to_root(post, collector.spans)
    assert [(span.service, span.name, span.kind) for span in path] == [
        ("lapidicom-registrar", "POST", "CLIENT"),
        (
            "lapidicom-registrar",
            "process lapidicom:instance.stored:lapidicom.registrations",
            "CONSUMER",
        ),
        ("lapidicom-receiver", "publish lapidicom:instance.stored", "PRODUCER"),
        ("lapidicom-receiver", "store", "INTERNAL"),
        ("lapidicom-receiver", "association", "SERVER"),
    ]
    assert len({span.trace_id for span in path}) == 1
    assert not any(span.is_error for span in path)
    http, process, publish, store, association = (span.attributes for span in path)
    assert http["http.request.method"] == "POST"
    assert http["url.full"] == f"{stack.cube.url}pacsfiles/"
    assert (http["server.address"], http["server.port"]) == ("127.0.0.1", stack.cube.port)
    uids = {"dicom.sop_instance_uid": f"{ROOT}.1.1", "dicom.series_instance_uid": f"{ROOT}.1"}
    assert (
        process.items()
        >= {
            **uids,
            "messaging.system": "rabbitmq",
            "messaging.operation.type": "process",
            "lapidicom.outcome": "registered",
            "lapidicom.attempts": 0,
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
            "dicom.released": True,
            "network.protocol.name": "dicom",
            "network.peer.address": "127.0.0.1",
        }.items()
    )
    assert process["dicom.association_id"] == association["dicom.association_id"]


def test_the_end_of_a_series_joins_the_trace_of_its_association(
    stack: Stack, collector: OtlpCollector
) -> None:
    stack.start(**collector.settings)
    assert stack.send(instance(1)) == [0]
    name = "process lapidicom:series.received:lapidicom.registrations"
    (process,) = eventually(lambda: collector.named(name), what="the end of the series is traced")
    stack.stop()
    assert [span.name for span in path_to_root(process, collector.spans)] == [
        name,
        "publish lapidicom:series.received",
        "association",
    ]


def test_log_lines_bear_the_trace_id(stack: Stack, collector: OtlpCollector) -> None:
    stack.start(CHRIS_VERBOSE="yes", **collector.settings)
    assert stack.send(instance(1)) == [0]
    stack.until_registered(1)
    stack.stop()
    (trace_id,) = {span.trace_id for span in collector.named("association")}
    for event in ("association_accepted", "instance_stored", "association_ended"):
        assert stack.receiver.events(event)[0]["trace_id"] == trace_id, event
    assert stack.registrar.events("instance_registered")[0]["trace_id"] == trace_id


def test_a_retried_registration_stays_in_its_trace(stack: Stack, collector: OtlpCollector) -> None:
    stack.start(**collector.settings)
    stack.cube.control.fail(500, "{}", count=1, path_contains=REGISTRATION)
    assert stack.send(instance(1)) == [0]
    stack.until_registered(1)
    stack.stop()
    path = path_to_root(the_post(collector), collector.spans)
    assert [span.name for span in path] == [
        "POST",
        "process lapidicom:lapidicom.registrations",
        "publish lapidicom:lapidicom.registrations.retry.1s",
        "process lapidicom:instance.stored:lapidicom.registrations",
        "publish lapidicom:instance.stored",
        "store",
        "association",
    ]
    assert len({span.trace_id for span in path}) == 1
    first, second = path[3], path[1]
    assert first.is_error
    assert first.attributes["lapidicom.outcome"] == "retry"
    assert not second.is_error
    assert second.attributes["lapidicom.attempts"] == 1


def test_a_dead_letter_stays_in_its_trace_and_carries_it(stack: Stack, collector: OtlpCollector) -> None:
    stack.start(**collector.settings, CHRIS_HTTP_RETRIES="0")
    stack.cube.control.fail(400, '{"path":["This field is wrong."]}', path_contains=REGISTRATION)
    assert stack.send(instance(1)) == [0]
    eventually(lambda: look(stack.amqp_url, DEAD_LETTER_QUEUE).ready == 1, 20, every=0.2)
    (letter,) = take_all(stack.amqp_url, DEAD_LETTER_QUEUE)
    stack.stop()
    (burial,) = collector.named("publish lapidicom.dead-letter")
    path = path_to_root(burial, collector.spans)
    assert [span.name for span in path[1:]] == [
        "process lapidicom:instance.stored:lapidicom.registrations",
        "publish lapidicom:instance.stored",
        "store",
        "association",
    ]
    assert path[1].attributes["lapidicom.dead_letter"] is True
    assert path[1].is_error
    assert str(letter.headers["traceparent"]).startswith(f"00-{burial.trace_id}-{burial.span_id}-")


def test_a_refused_instance_has_a_span_with_its_status(stack: Stack, collector: OtlpCollector) -> None:
    stack.start(**collector.settings)
    assert stack.send(instance(1, without=("StudyDate",)), instance(2)) == [0xC000, 0]
    stack.until_registered(1)
    stack.stop()
    refused, stored = sorted(collector.named("store"), key=lambda span: not span.is_error)
    assert refused.is_error
    assert refused.attributes["dicom.status"] == "0xC000"
    assert refused.attributes["dicom.sop_instance_uid"] == f"{ROOT}.1.1"
    assert not stored.is_error
    assert refused.trace_id == stored.trace_id


def test_an_instance_published_by_a_later_process_joins_its_trace(
    stack: Stack, collector: OtlpCollector
) -> None:
    kill = Fault("publish", "kill", role="relay", where="InstanceStored")
    stack.start([kill], **collector.settings)
    killed = stack.receiver.child("relay")
    assert stack.send(instance(1)) == [0]
    stack.receiver.wait_for_other_child(killed, "relay")
    stack.until_registered(1)
    stack.stop()
    path = path_to_root(the_post(collector), collector.spans)
    assert [span.name for span in path[-2:]] == ["store", "association"]
    assert len({span.trace_id for span in path}) == 1


def test_an_association_that_is_not_sampled_has_no_spans_anywhere(
    stack: Stack, collector: OtlpCollector
) -> None:
    stack.start(**collector.settings, OTEL_TRACES_SAMPLER="parentbased_always_off")
    assert stack.send(instance(1)) == [0]
    stack.until_registered(1)
    stack.stop()
    assert collector.spans == []
