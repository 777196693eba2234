import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapidicom.common.messages import SeriesSettling
from lapidicom.registrar.cube.contract import TEXT_LIMITS
from lapidicom.registrar.cube.mending import Request, Unregistrable, request, series_request
from tests.support.cube import contract
from tests.support.seeds import examples
from tests.support.stored import instance_stored


def fields(**changes: Any) -> dict[str, Any]:
    made = request(instance_stored(**changes))
    assert isinstance(made, Request)
    found: dict[str, Any] = json.loads(made.body)
    return found


def mended(**changes: Any) -> tuple[str, ...]:
    made = request(instance_stored(**changes))
    assert isinstance(made, Request)
    return made.mended


def test_a_complete_message_becomes_the_request_that_cube_wants() -> None:
    message = instance_stored(
        PatientBirthDate="19700101",
        PatientAge=19725,
        PatientSex="F",
        AccessionNumber="A1",
        ProtocolName="T1",
        StudyDescription="brain",
        SeriesDescription="SAG",
    )
    made = request(message)
    assert isinstance(made, Request)
    assert made.mended == ()
    assert json.loads(made.body) == {
        "path": message.path,
        "pacs_name": "ORTHANC",
        "PatientID": "p",
        "StudyDate": "20240102",
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.4",
        "PatientName": "DOE^JANE",
        "PatientBirthDate": "19700101",
        "PatientAge": 19725,
        "PatientSex": "F",
        "AccessionNumber": "A1",
        "Modality": "MR",
        "ProtocolName": "T1",
        "StudyDescription": "brain",
        "SeriesDescription": "SAG",
    }


def test_a_series_becomes_the_request_that_cube_v6_wants() -> None:
    instance = instance_stored(PatientSex="x", Modality="MR")
    fields = instance.model_dump(include=set(SeriesSettling.model_fields))
    message = SeriesSettling(**fields, folder="SERVICES/PACS/ORTHANC/p/s/r")
    made = series_request(message, 3)
    assert isinstance(made, Request)
    assert made.mended == ("PatientSex: left out",)
    sent = json.loads(made.body)
    assert (sent["path"], sent["ndicom"], sent["Modality"]) == ("SERVICES/PACS/ORTHANC/p/s/r", 3, "MR")
    too_long = message.model_copy(update={"folder": "SERVICES/PACS/ORTHANC/" + "f" * 1003})
    assert series_request(too_long, 3) == Unregistrable("path: longer than 1024 characters")


def test_absent_tags_are_left_out() -> None:
    found = fields(PatientName=None, Modality=None)
    assert set(found) == {
        "path", "pacs_name", "PatientID", "StudyDate", "StudyInstanceUID", "SeriesInstanceUID",
    }  # fmt: skip


@pytest.mark.parametrize("sex", ["m", "U", "Male", " ", "D"])
def test_a_sex_that_cube_refuses_is_left_out_and_noted(sex: str) -> None:
    assert "PatientSex" not in fields(PatientSex=sex)
    assert mended(PatientSex=sex) == ("PatientSex: left out",)


@pytest.mark.parametrize(
    "day", ["19700230", "00000101", "197001", "1970/01/01", "01.01.1970", "1970-0101", "x"]
)
def test_a_bad_birth_date_is_left_out_and_noted(day: str) -> None:
    assert "PatientBirthDate" not in fields(PatientBirthDate=day)
    assert mended(PatientBirthDate=day) == ("PatientBirthDate: left out",)


@pytest.mark.parametrize("day", ["19700101", "1970-01-01", "20240229"])
def test_a_birth_date_that_cube_takes_stays(day: str) -> None:
    assert fields(PatientBirthDate=day)["PatientBirthDate"] == day


@pytest.mark.parametrize(
    ("age", "stays"), [(0, True), (2**31 - 1, True), (2**31, False), (-(2**31) - 1, False)]
)
def test_an_age_out_of_range_is_left_out(age: int, stays: bool) -> None:
    assert ("PatientAge" in fields(PatientAge=age)) is stays


@pytest.mark.parametrize(("name", "limit"), TEXT_LIMITS.items())
def test_over_long_descriptive_text_is_cut_at_cubes_limit(name: str, limit: int) -> None:
    assert fields(**{name: "é" * limit})[name] == "é" * limit
    assert fields(**{name: "é" * (limit + 1)})[name] == "é" * limit
    assert mended(**{name: "é" * (limit + 1)}) == (f"{name}: cut at {limit} characters",)


def test_the_limits_are_those_of_the_contract() -> None:
    rows = {field.name: field.longest for field in contract.FIELDS}
    assert {name: rows[name] for name in TEXT_LIMITS} == TEXT_LIMITS


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"PatientID": "x" * 101}, "PatientID: longer than 100 characters"),
        ({"PatientID": " "}, "PatientID: blank"),
        ({"SeriesInstanceUID": "1" * 101}, "SeriesInstanceUID: longer than 100 characters"),
        ({"StudyInstanceUID": ""}, "StudyInstanceUID: blank"),
        ({"pacs_name": "x" * 21}, "pacs_name: longer than 20 characters"),
        ({"path": "SERVICES/PACS/X/" + "a" * 497}, "path: longer than 512 characters"),
        ({"path": "SERVICES/PACS/../../etc/passwd"}, "path: not a normal path below SERVICES/PACS/"),
        ({"path": "SERVICES/PACS/X//a.dcm"}, "path: not a normal path below SERVICES/PACS/"),
        ({"path": "/SERVICES/PACS/X/a.dcm"}, "path: not a normal path below SERVICES/PACS/"),
        ({"path": "SERVICES/PACS/X/a\0.dcm"}, "path: not a normal path below SERVICES/PACS/"),
    ],
)
def test_identity_that_cube_cannot_take_is_never_altered(changes: dict[str, str], reason: str) -> None:
    assert request(instance_stored(**changes)) == Unregistrable(reason)


@settings(max_examples=examples(200))
@given(st.dictionaries(st.sampled_from(sorted(TEXT_LIMITS)), st.text(max_size=500)))
def test_whatever_text_comes_cube_would_take_it(changes: dict[str, str]) -> None:
    found = fields(**changes)
    for name, limit in TEXT_LIMITS.items():
        if name in found:
            assert 0 < len(found[name]) <= limit
            assert "\0" not in found[name]
            assert found[name] == found[name].strip()
