import json
from typing import Any

import pytest

from lapidicom.cli import replay_plan
from lapidicom.cli.masking import (
    CUBE_TEXTS,
    FIELDS,
    HIDDEN,
    known_answer,
    masked_fields,
    masked_headers,
    masked_path,
)
from lapidicom.cli.reconcile.message import RECONCILE
from lapidicom.common.messages import InstanceStored, SeriesReceived, SeriesSettling, SeriesStarted
from lapidicom.registrar.consumer import headers as consumer_headers

PATIENT_DATA = {
    *("PatientID", "PatientName", "PatientBirthDate", "PatientAge", "PatientSex", "AccessionNumber"),
    *("StudyDate", "StudyDescription", "SeriesDescription", "ProtocolName"),
}


def test_every_field_of_a_message_is_harmless_or_masked() -> None:
    models = (InstanceStored, SeriesStarted, SeriesReceived, SeriesSettling)
    fields = {name for model in models for name in model.model_fields}
    assert fields == FIELDS.keys() | PATIENT_DATA


def test_patient_data_is_masked_and_what_is_absent_stays_absent() -> None:
    fields = {"PatientID": "p", "PatientName": None, "Modality": "MR", "size": 3, "Unheard": "of"}
    assert masked_fields(fields) == {
        "PatientID": "***",
        "PatientName": None,
        "Modality": "MR",
        "size": 3,
        "Unheard": "***",
    }


def test_every_header_that_the_command_and_the_registrar_write_is_listed() -> None:
    ours = [*vars(consumer_headers).values(), *vars(replay_plan).values()]
    written = {value for value in ours if isinstance(value, str) and value.startswith("lapidicom-")}
    shown = masked_headers(dict.fromkeys(written | {RECONCILE}, "refused"))
    assert {name for name, value in shown.items() if value == "***"} == {consumer_headers.ANSWER}


def test_a_pacs_name_that_no_receiver_makes_is_masked() -> None:
    assert masked_fields({"pacs_name": "Schmidt Anna"}) == {"pacs_name": "***"}


def test_a_uid_that_is_none_is_masked() -> None:
    fields = {"SOPInstanceUID": "DOE^JANE", "StudyInstanceUID": ["DOE"], "Modality": {"DOE": 1}}
    assert set(masked_fields(fields).values()) == {"***"}


def test_a_path_keeps_what_tells_nothing_about_a_patient() -> None:
    file = "SERVICES/PACS/PACS1/p-DOE_JANE-/MR-a-20240102/00001-T1-0123abc/0001-1.2.3.dcm"
    assert masked_path(file) == "SERVICES/PACS/PACS1/***/***/***/0001-1.2.3.dcm"
    folder = "SERVICES/PACS/PACS1/p-DOE_JANE-/MR-a-20240102/00001-T1-0123abc"
    assert masked_path(folder) == "SERVICES/PACS/PACS1/***/***/***"


def test_any_other_path_is_masked_whole() -> None:
    assert masked_path("home/DOE_JANE/1-1.2.dcm") == "***"
    assert masked_path("SERVICES/PACS/DOE_JANE") == "***"
    assert masked_path("SERVICES/PACS/PACS1/DOE_JANE.dcm") == "SERVICES/PACS/PACS1/***"


def test_only_our_headers_and_those_of_a_trace_are_shown_and_never_cubes_answer() -> None:
    headers = {
        "lapidicom-answer": "DOE",
        "lapidicom-reason": "refused: DOE",
        "lapidicom-attempts": 3,
        "lapidicom-patient": "DOE",
        "lapidicom-registrar": "Schmidt Anna",
        "lapidicom-edited": b"Schmidt",
        "traceparent": "00-1",
        "patient": "DOE",
    }
    assert masked_headers(headers) == {
        "lapidicom-answer": "***",
        "lapidicom-reason": "refused",
        "lapidicom-attempts": 3,
        "lapidicom-patient": "***",
        "lapidicom-registrar": "***",
        "lapidicom-edited": "***",
        "traceparent": "00-1",
        "patient": "***",
    }


@pytest.mark.parametrize("text", CUBE_TEXTS)
def test_what_cube_is_known_to_say_is_shown_without_its_values(text: str) -> None:
    said = text.replace(HIDDEN, "SERVICES/PACS/Schmidt Anna")
    assert known_answer(json.dumps({"path": [said]})) == f"path: {text}"


ANSWERS: list[tuple[Any, str]] = [
    ({"PatientName": ["DOE^JANE is no name, Jane!"]}, "PatientName: …"),
    (
        {"StudyDate": ["This field is required."], "Knie links": ["no"]},
        "…: …; StudyDate: This field is required.",
    ),
    ({"Modality": ["Ensure this field has no more than 15 characters.", "DOE"]}, None),
    ({"error": "Internal server error"}, "error: Internal server error"),
    (["A DICOM series with SeriesInstanceUID=1.2 already registered for pacs X"], None),
    (["Failing row contains (Schmidt Anna, Knie links)"], "…"),
    ("Failing row contains (Schmidt Anna, Knie links)", "…"),
    ('{"StudyDescription":["Knee left is too long (401 of 400', "…"),
    ('{"path":["Could not find this path."],"PatientName":["Schm', "Could not find this path. …"),
    ("<html><head><title>Server Error (500)</title></head><body>DOE", "Server Error (500)"),
    ("<html><head><title>502 Bad Gateway</title></head>", "502 Bad Gateway"),
    ("<h1>Schmidt Anna</h1> <p>IntegrityError at /api/v1/pacsfiles/", "…"),
    ("", ""),
    ("[" * 100_000, "…"),
]


@pytest.mark.parametrize(("answer", "shown"), ANSWERS, ids=lambda one: str(one)[:40])
def test_whatever_else_an_answer_says_is_not(answer: Any, shown: str | None) -> None:
    told = known_answer(answer if isinstance(answer, str) else json.dumps(answer))
    if shown is not None:
        assert told == shown
    assert not {part for part in ("DOE", "Jane", "Schmidt", "Knie", "Knee", "1.2") if part in told}


def test_the_same_fault_of_two_messages_is_one_cause() -> None:
    texts = [
        {"Modality": [f"Ensure this field has no more than {number} characters."]} for number in (15, 16)
    ]
    assert known_answer(json.dumps(texts[0])) == known_answer(json.dumps(texts[1]))
