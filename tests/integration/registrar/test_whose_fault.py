"""Is it the message, the system, or something between? With a real broker; the wrong one is never blamed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lapidicom.common.messages import InstanceStored
from lapidicom.common.topology import DEAD_LETTER_QUEUE, WORK_QUEUE, Topology, delay_queue
from tests.support.command import in_process
from tests.support.cube.process import CubeProcess
from tests.support.polling import eventually, never
from tests.support.queues import envelope, look, publish, take_all
from tests.support.registrar.__main__ import Options
from tests.support.registrar.process import claim
from tests.support.stored import instance_stored, store

Start = Callable[..., Any]
Deliver = Callable[[list[InstanceStored]], set[str]]

LONG = {"window": 3600.0}
"""A window that ends in no test."""


def study(patient: int, count: int, pacs: str = "ORTHANC", **changes: str) -> list[InstanceStored]:
    """Instances of a patient, a study and a series of their own."""
    folder = f"SERVICES/PACS/{pacs}/p{patient}-ROE_{patient}-/MR-a-20240102/00001-T1-{patient:07}"
    fields = {
        "pacs_name": pacs,
        "PatientID": f"p{patient}",
        "PatientName": f"ROE^{patient}",
        "StudyInstanceUID": f"1.2.{patient}",
        "SeriesInstanceUID": f"1.2.{patient}.1",
    } | changes
    return [
        instance_stored(patient * 1000 + number, path=f"{folder}/{number:04}.dcm", **fields)
        for number in range(1, count + 1)
    ]


def studies(patients: int, each: int, **changes: str) -> list[InstanceStored]:
    """Instances of so many patients, numbered from 1."""
    return [message for patient in range(1, patients + 1) for message in study(patient, each, **changes)]


@pytest.fixture(autouse=True)
def _refused(cube: CubeProcess) -> None:
    """A registration that has succeeded is sent again where it is in doubt whose fault a failure is."""
    cube.refuse_duplicates()


@pytest.fixture
def deliver(amqp_url: str, cube: CubeProcess, declared: Topology) -> Deliver:
    """Store the files on the receivers' volume and publish the messages; returns the paths."""

    def store_and_publish(messages: list[InstanceStored]) -> set[str]:
        aside = Path(f"{cube.root}.aside")
        for message in messages:
            store(aside if aside.exists() else cube.root, message)
        envelopes = [envelope(message, f"life.{message.SOPInstanceUID}") for message in messages]
        publish(amqp_url, declared, envelopes)
        return {message.path for message in messages}

    return store_and_publish


def dead(url: str) -> int:
    return look(url, DEAD_LETTER_QUEUE).ready


def is_empty(url: str) -> bool:
    """Nothing waits, neither in the work queue nor in the delay queue."""
    return look(url, WORK_QUEUE).ready + look(url, delay_queue(1)).ready == 0


def parked(registrar: Any) -> set[str]:
    return {line["reason"] for line in registrar.events("message_parked")}


def names_a_reason(registrar: Any, words: str) -> bool:
    return any(words in reason for reason in registrar.readyz()["reasons"])


# Another volume


@pytest.mark.parametrize("patients", [1, 30])
def test_another_volume_in_place_of_the_receivers_makes_no_dead_letter(
    patients: int, start_registrar: Start, deliver: Deliver, cube: CubeProcess, amqp_url: str
) -> None:
    registrar = start_registrar(CHRIS_HTTP_RETRIES="0")
    paths = deliver(study(99, 1))
    eventually(lambda: cube.control.paths() == paths)
    cube.control.volume_swapped(other=True)
    paths |= deliver(studies(patients, 300 // patients))
    eventually(lambda: names_a_reason(registrar, "our mount of the volume"))
    eventually(lambda: parked(registrar) == {"volume_not_visible"})
    cube.control.heal()
    eventually(lambda: cube.control.paths() == paths, 60, what="all registered")
    eventually(lambda: registrar.reasons() == [], what="ready")
    assert dead(amqp_url) == 0
    assert registrar.events("message_dead_lettered") == []


def test_a_registrar_that_starts_on_a_volume_that_no_receiver_has_used_says_so_and_buries_nothing(
    start_registrar: Start, deliver: Deliver, cube: CubeProcess, amqp_url: str
) -> None:
    claim(cube.root)
    cube.control.volume_swapped(other=True)
    registrar = start_registrar(Options(claimed=False, pace={"window": 0.1}), CHRIS_HTTP_RETRIES="0")
    told = registrar.readyz()
    assert told["ready"]
    assert "no receiver has used the volume yet" in told["degraded"][0]
    paths = deliver(study(1, 5))
    eventually(lambda: len(registrar.events("message_parked")) >= 15, what="each parked several times")
    cube.control.heal()
    eventually(lambda: cube.control.paths() == paths)
    eventually(lambda: registrar.readyz()["degraded"] == [])
    assert dead(amqp_url) == 0


def test_a_registrar_that_starts_on_another_receivers_volume_opens_its_breaker(
    start_registrar: Start, deliver: Deliver, cube: CubeProcess, amqp_url: str
) -> None:
    cube.control.volume_swapped(other=True)
    registrar = start_registrar(Options(pace=LONG), CHRIS_HTTP_RETRIES="0")  # finds a sentinel there
    paths = deliver(studies(30, 10))
    eventually(lambda: names_a_reason(registrar, "(file-missing)"), what="not ready")
    eventually(lambda: len(registrar.events("cube_outage")) >= 3, what="one at a time is tried")
    cube.control.heal()
    eventually(lambda: cube.control.paths() == paths, 60, what="all registered")
    assert dead(amqp_url) == 0


def test_files_that_cube_alone_does_not_see_are_an_outage_once_they_are_of_many_patients(
    start_registrar: Start, deliver: Deliver, cube: CubeProcess, amqp_url: str
) -> None:
    registrar = start_registrar(CHRIS_HTTP_RETRIES="0")
    cube.control.volume_gone()
    paths = deliver(study(1, 20))
    eventually(lambda: len(registrar.events("message_parked")) >= 40)
    assert registrar.events("cube_outage") == []
    paths |= deliver(studies(4, 5))
    (line, *_) = eventually(lambda: registrar.events("cube_outage"))
    assert line["reason"] == "not_yet_visible"
    eventually(lambda: names_a_reason(registrar, "CUBE does not find files that are on our mount"))
    cube.control.heal()
    eventually(lambda: cube.control.paths() == paths, 30)
    assert dead(amqp_url) == 0


def test_a_storage_that_vanishes_under_a_registration_spends_no_attempt(
    start_registrar: Start, deliver: Deliver, cube: CubeProcess, amqp_url: str
) -> None:
    registrar = start_registrar(CHRIS_HTTP_RETRIES="0")
    cube.control.volume_vanishes()
    paths = deliver(study(1, 1))
    eventually(lambda: registrar.events("message_parked"))
    cube.control.heal()
    eventually(lambda: cube.control.paths() == paths)
    assert registrar.events("registration_retried") == []
    assert dead(amqp_url) == 0


def test_a_volume_that_hangs_keeps_the_registrar_neither_from_its_work_nor_from_its_end(
    start_registrar: Start, deliver: Deliver, cube: CubeProcess, amqp_url: str, declared: Topology
) -> None:
    registrar = start_registrar(Options(hanging_volume=True), CHRIS_PUSHER_THREADS="2")
    publish(amqp_url, declared, [envelope(message, "life.1") for message in study(1, 6)])
    eventually(lambda: "volume_not_visible" in parked(registrar), what="a look has hung")
    paths = deliver(study(2, 20))
    eventually(lambda: cube.control.paths() == paths, what="the others are registered")
    assert registrar.stop() == 0
    assert dead(amqp_url) == 0


# The messages' own fault


def test_one_study_that_cube_refuses_alone_in_the_queue_ends_as_dead_letters_of_a_ready_registrar(
    start_registrar: Start, deliver: Deliver, amqp_url: str
) -> None:
    registrar = start_registrar(Options(pace={"window": 3.0}))
    deliver(study(1, 300, StudyDate="20240230"))
    eventually(lambda: dead(amqp_url) == 300, 90, every=0.5, what="300 dead letters")
    assert registrar.events("message_parked")  # before the window was over
    eventually(lambda: registrar.reasons() == [])
    assert registrar.events("cube_outage") == []
    assert is_empty(amqp_url)


def test_a_few_messages_of_three_patients_wait_with_their_reason_named_and_a_success_decides(
    start_registrar: Start, deliver: Deliver, cube: CubeProcess, amqp_url: str
) -> None:
    registrar = start_registrar(CHRIS_HTTP_RETRIES="0")
    deliver(studies(3, 1, StudyDate="20240230"))
    reason = "no registration succeeds: refused: StudyDate"
    eventually(lambda: registrar.reasons() == [reason])
    health = f"http://127.0.0.1:{registrar.health_port}"
    ended = in_process("status", "--json", AMQP_URL=amqp_url, CHRIS_REGISTRAR_URL=health)
    (found,) = [one for one in ended.document["checks"] if one["area"] == "registrars"]
    assert (found["result"], found["seen"].partition(": ")[2]) == ("fail", reason)
    assert dead(amqp_url) == 0
    good = deliver(study(99, 1))
    eventually(lambda: dead(amqp_url) == 3, what="dead letters")
    eventually(lambda: registrar.reasons() == [])
    assert cube.control.paths() == good
    assert is_empty(amqp_url)


def test_a_few_messages_of_three_patients_are_dead_letters_after_a_while_without_a_success(
    start_registrar: Start, deliver: Deliver, amqp_url: str
) -> None:
    registrar = start_registrar(Options(pace={"few": 5.0}), CHRIS_HTTP_RETRIES="0")
    deliver(studies(3, 3, StudyDate="20240230"))
    eventually(lambda: names_a_reason(registrar, "no registration succeeds: refused: StudyDate"))
    eventually(lambda: dead(amqp_url) == 9, what="dead letters")
    eventually(lambda: registrar.reasons() == [], what="ready again")
    assert registrar.events("cube_outage") == []
    assert is_empty(amqp_url)


def test_what_cube_refuses_while_it_still_takes_what_it_took_is_a_dead_letter_at_once(
    start_registrar: Start, deliver: Deliver, cube: CubeProcess, amqp_url: str
) -> None:
    registrar = start_registrar(Options(pace=LONG))
    good = deliver(study(99, 1))
    eventually(lambda: cube.control.paths() == good)
    cube.control.refuse_value("Modality", "XA", "No XA here.")
    deliver(studies(10, 3, Modality="XA"))
    eventually(lambda: dead(amqp_url) == 30, what="30 dead letters of ten patients")
    assert registrar.reasons() == []
    assert registrar.events("message_parked") == []
    assert cube.control.counts() == dict.fromkeys(good, 1)


def test_what_cube_refuses_of_everybody_since_its_upgrade_is_an_outage(
    start_registrar: Start, deliver: Deliver, cube: CubeProcess, amqp_url: str
) -> None:
    registrar = start_registrar(Options(pace=LONG), CHRIS_HTTP_RETRIES="0")
    good = deliver(study(99, 1))
    eventually(lambda: cube.control.paths() == good)
    cube.control.refuse_value("Modality", "MR", "Not a valid choice.")
    paths = good | deliver(studies(10, 3))
    eventually(lambda: names_a_reason(registrar, "refused: Modality"))
    eventually(lambda: len(registrar.events("cube_outage")) >= 3, what="one at a time is tried")
    assert dead(amqp_url) == 0
    cube.control.heal()
    eventually(lambda: cube.control.paths() == paths, 30)
    eventually(lambda: registrar.reasons() == [])
    assert dead(amqp_url) == 0


# Between registrar and CUBE


def test_one_patient_whom_a_firewall_refuses_ends_as_dead_letters_and_is_nobodys_outage(
    start_registrar: Start, deliver: Deliver, cube: CubeProcess, amqp_url: str
) -> None:
    registrar = start_registrar(CHRIS_HTTP_RETRIES="3")
    cube.control.firewall("ROE^7")
    deliver(study(7, 2))
    others: set[str] = set()
    for patient in range(100, 200):
        others |= deliver(study(patient, 3))
        eventually(lambda: cube.control.paths() == others)  # noqa: B023 (called at once)
        if dead(amqp_url) == 2:
            break
    assert dead(amqp_url) == 2
    assert registrar.events("cube_outage") == []
    assert registrar.reasons() == []
    for letter in take_all(amqp_url, DEAD_LETTER_QUEUE):
        assert letter.headers["lapidicom-reason"] == "refused-on-the-way: http_403"
        assert letter.headers["lapidicom-answer"] == "<html>Blocked</html>"


def test_what_a_firewall_refuses_alone_in_the_queue_is_parked_and_after_a_while_not_ready(
    start_registrar: Start, deliver: Deliver, cube: CubeProcess, amqp_url: str
) -> None:
    registrar = start_registrar(CHRIS_HTTP_RETRIES="1")
    cube.control.firewall("ROE^7", 404)
    paths = deliver(study(7, 2))
    eventually(lambda: names_a_reason(registrar, "no registration succeeds: http_404"))
    assert registrar.events("cube_outage") == []
    cube.control.heal()
    eventually(lambda: cube.control.paths() == paths)
    eventually(lambda: registrar.reasons() == [])
    assert dead(amqp_url) == 0


@pytest.mark.parametrize("body", ["<html>Log in</html>", '{"status":"ok","id":1}'])
def test_a_proxy_that_answers_200_to_everything_is_an_outage(
    body: str, start_registrar: Start, deliver: Deliver, cube: CubeProcess, amqp_url: str
) -> None:
    registrar = start_registrar(CHRIS_HTTP_RETRIES="0")
    cube.control.answer_everything(body, content_type="application/json" if "{" in body else "text/html")
    paths = deliver(study(1, 12))
    eventually(lambda: names_a_reason(registrar, "not the root of CUBE's API"))
    cube.control.heal()
    eventually(lambda: cube.control.paths() == paths)
    assert registrar.events("registration_retried") == []
    assert dead(amqp_url) == 0


# CUBE and its account


def test_another_user_than_chris_is_a_fault_of_the_settings_and_nothing_is_consumed(
    start_registrar: Start, deliver: Deliver, amqp_url: str
) -> None:
    paths = deliver(study(1, 3))
    registrar = start_registrar(ready=False, CHRIS_USERNAME="somebody", CHRIS_PASSWORD="somebody1234")
    eventually(lambda: names_a_reason(registrar, "lets no user but `chris` register"))
    never(lambda: registrar.events("consuming"))
    assert look(amqp_url, WORK_QUEUE).ready == len(paths)


def test_a_right_that_is_taken_away_is_an_outage_that_names_it(
    start_registrar: Start, deliver: Deliver, cube: CubeProcess, amqp_url: str
) -> None:
    registrar = start_registrar(CHRIS_HTTP_RETRIES="0")
    cube.control.refuse()
    paths = deliver(study(1, 3))
    eventually(lambda: names_a_reason(registrar, "lets no user but `chris` register"))
    cube.control.heal()
    eventually(lambda: cube.control.paths() == paths)
    assert dead(amqp_url) == 0


def test_a_stopped_database_is_named_and_no_password_is_blamed(
    start_registrar: Start, cube: CubeProcess
) -> None:
    cube.control.database_down()
    registrar = start_registrar(ready=False)
    eventually(lambda: names_a_reason(registrar, "needs its database"))
    assert not names_a_reason(registrar, "CHRIS_PASSWORD")


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/", "http://127.0.0.1:{port}/api/v1/plugins/"])
def test_a_wrong_url_is_named_and_no_password_is_blamed(
    url: str, start_registrar: Start, cube: CubeProcess
) -> None:
    registrar = start_registrar(ready=False, CHRIS_URL=url.format(port=cube.port))
    eventually(lambda: names_a_reason(registrar, "CHRIS_URL is not the root of CUBE's API"))
    assert not names_a_reason(registrar, "CHRIS_PASSWORD")


def test_https_to_a_port_without_tls_is_named(start_registrar: Start, cube: CubeProcess) -> None:
    registrar = start_registrar(ready=False, CHRIS_URL=f"https://127.0.0.1:{cube.port}/api/v1/")
    eventually(lambda: names_a_reason(registrar, f"127.0.0.1:{cube.port}"))
    assert names_a_reason(registrar, "TLS")


def test_an_answer_that_drips_is_given_up_and_work_goes_on_when_it_flows(
    start_registrar: Start, deliver: Deliver, cube: CubeProcess, amqp_url: str
) -> None:
    registrar = start_registrar(CHRIS_HTTP_RETRIES="0")
    cube.control.drip(0.3)
    paths = deliver(study(1, 8))
    eventually(lambda: registrar.events("cube_outage"), what="the outage is noticed")
    eventually(lambda: names_a_reason(registrar, "no answer in time"))
    cube.control.heal()
    eventually(lambda: cube.control.paths() == paths)
    assert dead(amqp_url) == 0


# CUBE's races


def test_a_new_pacs_name_that_many_create_at_once_spends_no_attempt(
    start_registrar: Start, deliver: Deliver, cube: CubeProcess, amqp_url: str
) -> None:
    cube.control.race(0.02)
    paths = set()
    for number in range(10):
        paths |= deliver(study(number, 8, pacs=f"NEW{number}"))
    registrars = [start_registrar(CHRIS_HTTP_RETRIES="0", CHRIS_PUSHER_THREADS="8") for _ in range(2)]
    eventually(lambda: cube.control.paths() == paths, 60, what="all registered")
    assert cube.control.answers()["POST /api/v1/pacsfiles/ 400"] > 0
    assert dead(amqp_url) == 0
    for registrar in registrars:
        assert registrar.events("registration_retried") == []


def test_who_loses_the_race_for_one_path_spends_no_attempt(
    start_registrar: Start, deliver: Deliver, cube: CubeProcess, amqp_url: str
) -> None:
    cube.control.race(1)
    messages = study(1, 4) * 4  # each four times, as after a lost connection of a relay
    paths = deliver(messages)
    patient = Options(pace={"read": 30})
    registrar = start_registrar(patient, CHRIS_HTTP_RETRIES="0", CHRIS_PUSHER_THREADS="16")
    eventually(lambda: len(registrar.events("instance_registered")) == 16)
    assert cube.control.answers()["POST /api/v1/pacsfiles/ 500"] > 0
    assert registrar.events("registration_retried") == []
    assert cube.control.counts() == dict.fromkeys(paths, 1)
    assert dead(amqp_url) == 0
