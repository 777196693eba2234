"""Registrar, real RabbitMQ, stand-in CUBE: each message ends in one registration or as a dead letter."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from lapidicom.common.broker import Envelope
from lapidicom.common.messages import SeriesReceived
from lapidicom.common.topology import DEAD_LETTER_QUEUE, EXCHANGE, WORK_QUEUE, Topology, delay_queue
from tests.support.cube.process import CubeProcess
from tests.support.polling import eventually
from tests.support.queues import envelope, look, publish, take_all
from tests.support.stored import instance_stored, store

Start = Callable[..., Any]
Send = Callable[..., set[str]]

REGISTRATION = "SERVICES/PACS"
"""In the body of a registration; not in that of auth-token/."""

PATIENT = ("DOE", "JANE", "SERVICES/PACS")


def dead_letters(url: str, count: int, seconds: float = 20) -> list[Any]:
    """The dead letters, when there are that many."""
    eventually(lambda: look(url, DEAD_LETTER_QUEUE).ready == count, seconds, every=0.2, what="dead letters")
    return take_all(url, DEAD_LETTER_QUEUE)


def test_every_instance_is_registered_once_and_leaves_the_queue(
    start_registrar: Start, send: Send, cube: CubeProcess, amqp_url: str
) -> None:
    paths = send(1, 40)
    registrar = start_registrar()
    eventually(lambda: cube.control.paths() == paths, what="all registered")
    assert registrar.stop() == 0
    assert set(cube.control.counts().values()) == {1}
    assert look(amqp_url, WORK_QUEUE).ready == 0
    assert look(amqp_url, DEAD_LETTER_QUEUE).ready == 0
    assert len(registrar.events("instance_registered")) == 40
    row = cube.control.registrations()[0]
    assert (row["PatientName"], row["Modality"], row["pacs_name"]) == ("DOE^JANE", "MR", "ORTHANC")


def test_no_log_line_holds_patient_data_or_a_path(
    start_registrar: Start, send: Send, cube: CubeProcess, amqp_url: str, declared: Topology
) -> None:
    paths = send(1, 2)
    missing = instance_stored(3)
    publish(amqp_url, declared, [envelope(missing, "life.3")])
    cube.control.fail(500, '{"DOE^JANE":"x"}', count=1, path_contains=REGISTRATION)
    registrar = start_registrar()
    eventually(lambda: cube.control.paths() == paths, what="all registered")
    dead_letters(amqp_url, 1)
    registrar.stop()
    log = registrar._log.read_text()
    assert not [word for word in PATIENT if word in log]


def test_an_instance_that_cube_knows_already_is_a_success(
    start_registrar: Start, send: Send, cube: CubeProcess, amqp_url: str
) -> None:
    registrar = start_registrar()
    cube.refuse_duplicates()
    paths = send(1, 3)
    eventually(lambda: cube.control.paths() == paths)
    send(1, 3)
    eventually(lambda: len(registrar.events("instance_registered")) == 6)
    assert set(cube.control.counts().values()) == {1}
    assert registrar.stop() == 0
    assert look(amqp_url, WORK_QUEUE).ready == 0
    assert look(amqp_url, DEAD_LETTER_QUEUE).ready == 0


def test_a_series_that_has_been_received_needs_no_registration(
    start_registrar: Start, amqp_url: str, declared: Topology
) -> None:
    message = instance_stored()
    series = SeriesReceived(
        **message.model_dump(include=set(SeriesReceived.model_fields)),
        folder="SERVICES/PACS/ORTHANC/p/s/r",
        received=2,
        refused=1,
        ok=True,
        ended_at=datetime.now(UTC),
    )
    registrar = start_registrar()
    publish(amqp_url, declared, [envelope(series, "life.9")])
    (line,) = eventually(lambda: registrar.events("series_received"))
    assert (line["received"], line["refused"], line["SeriesInstanceUID"]) == (2, 1, "1.2.3.4")
    assert registrar.stop() == 0
    assert look(amqp_url, WORK_QUEUE).ready == 0


def test_after_its_retries_a_failing_instance_is_a_dead_letter_that_tells_why(
    start_registrar: Start, send: Send, cube: CubeProcess, amqp_url: str
) -> None:
    cube.control.fail(500, '{"error":"Internal server error"}', path_contains=REGISTRATION)
    (path,) = send()
    registrar = start_registrar()
    (letter,) = dead_letters(amqp_url, 1)
    headers = letter.headers
    assert cube.control.attempts() == {}
    # Each attempt asks again at once; then the message was held until it was clear whose fault it is.
    assert cube.control.answers()["POST /api/v1/pacsfiles/ 500"] >= 6
    assert headers["lapidicom-attempts"] == 3
    assert headers["lapidicom-reason"] == "http_500"
    assert headers["lapidicom-http-status"] == 500
    assert headers["lapidicom-answer"] == '{"error":"Internal server error"}'
    assert headers["lapidicom-first-attempt"] < headers["lapidicom-last-attempt"]
    assert headers["lapidicom-registrar"]
    assert headers["lapidicom-id"] == "life.1"
    assert letter.routing_key == WORK_QUEUE
    assert path in letter.body.decode()
    # Two passes through the delay queue have added x-death, which a replayed copy must not carry;
    # RabbitMQ 3.10 puts a delivery count on whatever it delivers.
    assert {name for name in headers if name.startswith("x-")} <= {"x-delivery-count"}
    assert len(registrar.events("registration_retried")) == 2
    assert len(registrar.events("message_dead_lettered")) == 1


def test_a_failure_that_passes_is_retried_to_success(
    start_registrar: Start, send: Send, cube: CubeProcess, amqp_url: str
) -> None:
    cube.control.fail(500, count=3, path_contains=REGISTRATION)
    paths = send()
    registrar = start_registrar()
    eventually(lambda: cube.control.paths() == paths, 15)
    assert len(registrar.events("registration_retried")) == 1
    assert look(amqp_url, DEAD_LETTER_QUEUE).ready == 0


def test_a_registration_whose_answer_was_cut_off_is_done_once(
    start_registrar: Start, send: Send, cube: CubeProcess, amqp_url: str
) -> None:
    cube.refuse_duplicates()
    cube.control.fail(201, count=3, stored=True, cut=True, path_contains=REGISTRATION)
    paths = send(1, 5)
    registrar = start_registrar()
    eventually(lambda: len(registrar.events("instance_registered")) == 5, 15)
    assert cube.control.counts() == dict.fromkeys(paths, 1)
    assert look(amqp_url, DEAD_LETTER_QUEUE).ready == 0


def test_what_cube_refuses_and_a_file_that_nobody_sees_are_dead_letters(
    start_registrar: Start, cube: CubeProcess, amqp_url: str, declared: Topology
) -> None:
    start_registrar()
    wrong = store(cube.root, instance_stored(1, StudyDate="20240230"))
    long = store(cube.root, instance_stored(2, PatientID="x" * 101))
    missing = instance_stored(3)
    messages = enumerate((wrong, long, missing), 1)
    publish(amqp_url, declared, [envelope(message, f"life.{number}") for number, message in messages])
    letters = {letter.headers["lapidicom-id"]: letter for letter in dead_letters(amqp_url, 3)}
    assert letters["life.1"].headers["lapidicom-reason"] == "refused: StudyDate"
    assert letters["life.1"].headers["lapidicom-http-status"] == 400
    assert letters["life.2"].headers["lapidicom-reason"].startswith("unregistrable: PatientID")
    assert "lapidicom-http-status" not in letters["life.2"].headers
    assert letters["life.3"].headers["lapidicom-reason"] == "file-missing"
    assert letters["life.3"].headers["lapidicom-attempts"] == 1


def test_values_that_cube_would_refuse_for_their_form_are_mended(
    start_registrar: Start, cube: CubeProcess, amqp_url: str, declared: Topology
) -> None:
    registrar = start_registrar()
    message = store(
        cube.root,
        instance_stored(
            PatientSex="U",
            PatientBirthDate="00000000",
            PatientAge=2**40,
            ProtocolName="x" * 65,
            PatientName="D" * 151,
        ),
    )
    publish(amqp_url, declared, [envelope(message, "life.1")])
    eventually(lambda: cube.control.paths() == {message.path})
    (line,) = eventually(lambda: registrar.events("instance_registered"))
    assert sorted(line["mended"]) == [
        "PatientAge: left out",
        "PatientBirthDate: left out",
        "PatientName: cut at 150 characters",
        "PatientSex: left out",
        "ProtocolName: cut at 64 characters",
    ]


def test_a_message_that_cannot_be_decoded_is_a_dead_letter_and_one_of_an_unknown_format_waits(
    start_registrar: Start, amqp_url: str, declared: Topology
) -> None:
    registrar = start_registrar()
    key = "instance.stored"
    publish(
        amqp_url,
        declared,
        [
            Envelope(EXCHANGE, key, "InstanceStored", 1, "undecodable", b"{"),
            Envelope(EXCHANGE, key, "InstanceStored", 0, "old", b"{}"),
            Envelope(EXCHANGE, key, "Rumour", 1, "unknown", b"\xff\x00"),
            Envelope(EXCHANGE, key, "InstanceStored", 2, "newer", b"{}"),
        ],
    )
    (letter,) = dead_letters(amqp_url, 1)
    assert letter.headers["lapidicom-reason"] == "undecodable"

    def met() -> list[str]:
        return [line["lapidicom_id"] for line in registrar.events("message_of_unknown_format")]

    eventually(lambda: min(map(met().count, ("old", "unknown", "newer"))) >= 2, what="parked again and again")
    told = registrar.readyz()
    assert told["ready"]
    assert {reason.partition(": ")[2].partition(";")[0] for reason in told["degraded"]} == {
        "InstanceStored version 0",
        "InstanceStored version 2",
        "Rumour version 1",
    }
    assert registrar.stop() == 0
    waiting = eventually(lambda: take_all(amqp_url, WORK_QUEUE) or take_all(amqp_url, delay_queue(1)))
    assert (set(waiting[0].headers) & {"lapidicom-attempts", "lapidicom-waiting-for"}) == set()
    assert look(amqp_url, DEAD_LETTER_QUEUE).ready == 0


def test_a_retry_waits_as_long_as_cube_asks(
    start_registrar: Start, send: Send, cube: CubeProcess, amqp_url: str
) -> None:
    cube.control.fail(408, headers={"Retry-After": "2"}, count=1, path_contains=REGISTRATION)
    paths = send()
    registrar = start_registrar(CHRIS_RETRY_DELAYS="1,3")
    (line,) = eventually(lambda: registrar.events("registration_retried"))
    assert line["delay"] == 3
    eventually(lambda: cube.control.paths() == paths, 15)
    assert look(amqp_url, DEAD_LETTER_QUEUE).ready == 0


def test_two_registrars_share_the_work(start_registrar: Start, send: Send, cube: CubeProcess) -> None:
    cube.control.slow(0.02)
    first, second = start_registrar(), start_registrar()
    paths = send(1, 100)
    eventually(lambda: cube.control.paths() == paths, 20)
    assert set(cube.control.counts().values()) == {1}
    assert first.stop() == 0
    assert second.stop() == 0
    shares = [len(one.events("instance_registered")) for one in (first, second)]
    assert sum(shares) == 100
    assert min(shares) > 10


def test_no_more_requests_are_under_way_than_pusher_threads(
    start_registrar: Start, send: Send, cube: CubeProcess
) -> None:
    cube.control.slow(0.05)
    paths = send(1, 30)
    start_registrar(CHRIS_PUSHER_THREADS="3")
    eventually(lambda: cube.control.paths() == paths, 20)
    assert cube.control.most_under_way() == 3
