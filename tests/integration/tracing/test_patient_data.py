"""Nothing of a patient in what the services tell: logs and spans of a run in which all goes wrong."""

import contextlib

from lapidicom.common.topology import DEAD_LETTER_QUEUE
from tests.support.faults import Fault
from tests.support.instances import ROOT, instance, leaks
from tests.support.otlp_collector import OtlpCollector
from tests.support.polling import eventually
from tests.support.queues import take_all
from tests.support.whole_path import WholePath

CALLING = "TRACED"

REGISTRATION = "SERVICES/PACS"
"""In the body of a registration, and in each path."""

ANSWER = '{"PatientName":["Quastenflosser^Xaverine: wrong."],"path":["KRNK-7731-ZX/ACCZW8842: wrong."]}'
MALFORMED = ("Schnurrbartwachs", "Regenpfeifer", "Kellerassel")

FAULTS = [
    Fault("rename", "error", where=r"incoming/.*\.part$", nth=4),  # one instance cannot be stored
    Fault("rename", "kill", where=r"incoming/.*\.part$", nth=10),  # the second association: the third
    # Before the instance that CUBE refuses once is sent: a repeated message of it would be registered.
    Fault("publish", "kill", role="relay", nth=4),
]


def test_no_patient_datum_is_in_logs_or_spans_of_a_run_with_faults(
    path: WholePath, collector: OtlpCollector
) -> None:
    cube = path.cube.control
    path.start(FAULTS, **collector.settings, CHRIS_VERBOSE="yes", CHRIS_HTTP_RETRIES="1")
    receiver, registrar = path.receivers[0], path.registrars[0]
    told: list[object] = []

    # Refusals, a retry, a dead letter; the relay dies on the way.
    cube.fail(500, ANSWER, count=2, path_contains="1.2.dcm")
    cube.fail(400, ANSWER, count=1, path_contains="1.5.dcm")
    statuses = path.send(
        CALLING,
        *(instance(number) for number in range(1, 7)),
        instance(21, without=("PatientID",)),
        instance(22, StudyDate=MALFORMED[0]),
        instance(23, SeriesInstanceUID=MALFORMED[1]),
        instance(24, PatientAge=MALFORMED[2]),
    )
    assert [f"{status:04X}" for status in statuses] == [
        *("0000", "0000", "0000", "A700", "0000", "0000"),
        *("C000", "C000", "C000", "0000"),
    ]
    path.until_registered(5)

    # The listener dies within a C-STORE; the next one goes on.
    listener = receiver.child()
    with contextlib.suppress(AttributeError, ValueError, RuntimeError):  # what pynetdicom makes of that
        path.send(CALLING, *(instance(number, series=2) for number in range(1, 6)))
    receiver.wait_for_other_child(listener)
    path.until_registered(7)

    # CUBE's database is down, then it hangs, and the registrar dies with a request under way.
    cube.database_down()
    assert path.send(CALLING, instance(1, series=3)) == [0]
    eventually(lambda: registrar.events("message_parked"), 20, what="a message is parked")
    told += [*receiver.get("/readyz"), *registrar.reasons()]
    cube.heal()
    path.until_registered(8)
    cube.hang()
    assert path.send(CALLING, instance(1, series=4)) == [0]
    eventually(lambda: collector.named("publish lapidicom:instance.stored")[-1], what="it is published")
    registrar.kill()
    cube.heal()
    registrar.start()
    registrar.wait_until_ready()
    path.until_registered(9)
    path.stop()

    # All of that has happened, and was told.
    assert {line["number"] for line in receiver.events("fault_struck")} == {0, 1, 2}
    assert receiver.events("instance_refused", status="0xA700")
    assert receiver.events("patient_age_unparsable")
    for event in ("registration_retried", "message_dead_lettered", "instance_registered"):
        assert registrar.events(event), event
    (letter,) = take_all(path.amqp_url, DEAD_LETTER_QUEUE)
    assert leaks(letter.body.decode()), "the search finds nothing where patient data is"

    spans = "\n".join(collector.texts)
    assert f"{ROOT}.1.1" in spans
    assert leaks(spans, [*MALFORMED, REGISTRATION, f"PACS/{CALLING}"]) == []
    assert leaks(f"{path.log_text()}\n{told}", MALFORMED) == []
