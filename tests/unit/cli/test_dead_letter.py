import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapidicom.cli.causes import UNKNOWN_REASON
from lapidicom.cli.letter import is_named, read_letter, short_id
from tests.support.dead_letters import LIFE
from tests.support.letters import letter, properties
from tests.support.seeds import examples

WHEN = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


def test_a_letter_of_a_registrar_tells_its_whole_story() -> None:
    found = letter(17, "refused: StudyDate", 400, "no", attempts=3, died=WHEN)
    assert found.id == f"{LIFE}.17"
    assert (found.type, found.version) == ("InstanceStored", 1)
    assert (found.reason, found.http_status, found.answer, found.attempts) == (
        "refused: StudyDate",
        400,
        "no",
        3,
    )
    assert (found.first_attempt, found.last_attempt, found.died_at) == (WHEN, WHEN, WHEN)
    uids = (found.uid("SeriesInstanceUID"), found.uid("SOPInstanceUID"))
    assert (found.pacs_name, *uids) == (
        "ORTHANC",
        "1.2.3.4",
        "1.2.826.0.1.3680043.2.1143.17",
    )
    assert found.path.endswith("/0017-1.2.826.0.1.3680043.2.1143.17.dcm")
    assert found.registrar == "registrar-0.1"


@pytest.mark.parametrize("message_type", ["SeriesSettling", "SeriesReceived", "InstanceStored"])
def test_a_letter_about_a_series_is_known_by_its_type(message_type: str) -> None:
    found = read_letter(b'{"folder": "SERVICES/PACS/X/p/s/r"}', properties({}, message_type=message_type))
    assert found.is_of_series is message_type.startswith("Series")
    assert found.path == "SERVICES/PACS/X/p/s/r"


def test_what_the_broker_itself_gave_up_says_so_whatever_an_earlier_retry_said() -> None:
    deaths = [{"queue": "lapidicom.registrations", "reason": "delivery_limit", "count": 1, "time": WHEN}]
    headers = {"lapidicom-id": "l.1", "lapidicom-reason": "http_500", "lapidicom-http-status": 500}
    found = read_letter(b"{}", properties({**headers, "x-death": deaths}))
    assert (found.reason, found.http_status, found.died_at) == ("delivery-limit", None, WHEN)
    assert not any(name.startswith("x-") for name in found.headers)


def test_a_policy_that_took_it_out_of_the_work_queue_is_named() -> None:
    deaths = [{"queue": "lapidicom.registrations", "reason": "maxlen", "time": WHEN.replace(tzinfo=None)}]
    found = read_letter(b"{}", properties({"x-death": deaths}))
    assert (found.reason, found.died_at) == ("by-broker: maxlen", WHEN)


def test_a_delay_queue_that_it_passed_on_its_way_is_no_death() -> None:
    deaths = [{"queue": "lapidicom.registrations.retry.5s", "reason": "expired", "time": WHEN}]
    headers = {"lapidicom-reason": "http_500", "x-death": deaths}
    assert read_letter(b"{}", properties(headers)).reason == "http_500"


@pytest.mark.parametrize(
    "body", [b"", b"{broken", b"[1]", b"\xff\xfe", b"[" * 100_000, b'{"path": 3}', b'{"size": NaN}']
)
def test_a_body_that_cannot_be_read_still_gives_a_letter(body: bytes) -> None:
    found = read_letter(body, properties({"lapidicom-id": "l.1", "lapidicom-reason": "undecodable"}))
    assert (found.id, found.reason, found.body) == ("l.1", "undecodable", body)
    assert (found.path, found.uid("SeriesInstanceUID")) == ("", "")


def test_a_foreign_message_has_its_message_id_or_a_digest_as_its_id() -> None:
    assert read_letter(b"x", properties(None, message_id="m")).id == "m"
    assert read_letter(b"x", properties({"lapidicom-id": "Schmidt Anna"}, message_id="m")).id == "m"
    nameless = read_letter(b"x", properties(None, message_id=None, message_type=None))
    assert nameless.id.startswith("sha256-2d711642b726b044")
    assert nameless.reason == UNKNOWN_REASON


def test_what_stands_in_the_place_of_a_uid_and_is_none_is_left_out() -> None:
    body = json.dumps({"SeriesInstanceUID": "DOE^JANE", "SOPInstanceUID": "1.2"}).encode()
    found = read_letter(body, properties({}))
    assert (found.uid("SeriesInstanceUID"), found.uid("SOPInstanceUID")) == ("", "1.2")


@pytest.mark.parametrize("reason", ["Jane Doe, knee", "x" * 300, "\u00fc", ""])
def test_a_reason_that_no_registrar_gives_is_not_shown(reason: str) -> None:
    assert read_letter(b"{}", properties({"lapidicom-reason": reason})).reason == UNKNOWN_REASON


def test_half_a_surrogate_pair_is_replaced_and_the_body_stays() -> None:
    body = b'{"PatientName": "a\\ud800b"}'
    found = read_letter(body, properties({}))
    assert (found.fields, found.body) == ({"PatientName": "a?b"}, body)


def test_patient_data_is_not_in_what_an_error_may_print() -> None:
    assert "DOE" not in repr(letter(1, "refused", 400, "DOE^JANE"))


@settings(max_examples=examples(30))
@given(
    body=st.binary(max_size=50),
    headers=st.dictionaries(
        st.sampled_from(
            ["lapidicom-id", "lapidicom-attempts", "lapidicom-last-attempt", "lapidicom-answer", "x-death"]
        ),
        st.none()
        | st.text()
        | st.integers()
        | st.booleans()
        | st.lists(st.dictionaries(st.text(), st.text())),
    ),
)
def test_no_message_is_beyond_reading(body: bytes, headers: dict[str, Any]) -> None:
    assert read_letter(body, properties(headers)).id


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [
        (f"{LIFE}.17", True),
        ("0b3f62c1.17", True),
        ("0b3f", True),
        (f"{LIFE}.1", False),
        ("0b3f.7", False),
        ("b3f6.17", False),
        ("0b3f.17.ended", False),
    ],
)
def test_an_id_is_meant_by_a_beginning_of_its_life_and_its_whole_sequence(wanted: str, meant: bool) -> None:
    assert is_named(f"{LIFE}.17", wanted) is meant


@pytest.mark.parametrize("known", [f"{LIFE}.17", f"{LIFE}.17.ended", "19c4ac7e4c3d4bd091a396a91b4f79cb", "m"])
def test_the_short_form_of_an_id_means_it(known: str) -> None:
    assert is_named(known, short_id(known))
    assert is_named(known, known)
