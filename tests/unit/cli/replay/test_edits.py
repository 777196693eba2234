"""--set and --unset: only what describes may be changed, and only to what is valid."""

import json

import pytest

from lapidicom.cli.errors import OperatorError
from lapidicom.cli.replay.edits import EDITABLE, Change, NotEditable, make_edits
from lapidicom.common.messages import InstanceStored, SeriesReceived
from tests.support.letters import letter

BODY = letter(1).body


@pytest.mark.parametrize(
    "name", sorted({*InstanceStored.model_fields, *SeriesReceived.model_fields} - set(EDITABLE))
)
def test_what_identifies_or_was_measured_cannot_be_edited(name: str) -> None:
    with pytest.raises(OperatorError, match=f"'{name}' may not be edited"):
        make_edits([f"{name}=1"], ())


def test_every_editable_field_is_a_field_of_both_messages() -> None:
    assert set(EDITABLE) <= set(InstanceStored.model_fields) & set(SeriesReceived.model_fields)


@pytest.mark.parametrize(
    ("given", "unset", "said"),
    [
        (["Modality"], [], "is not of its form"),
        (["=x"], [], "is not of its form"),
        ([], ["Modality=x"], "is not of its form"),
        (["Modality=a", "Modality=b"], [], "edited twice"),
        (["Modality=a"], ["Modality"], "edited twice"),
        (["Nonsense=a"], [], "may not be edited"),
    ],
)
def test_options_that_make_no_sense_are_refused(given: list[str], unset: list[str], said: str) -> None:
    with pytest.raises(OperatorError, match=said):
        make_edits(given, unset)


def test_an_edit_tells_what_really_changes() -> None:
    edits = make_edits(["Modality=MR", "PatientAge=12", "StudyDescription=a=b"], ["PatientName"])
    body, changes = edits.apply("InstanceStored", BODY)
    assert changes == (
        Change("PatientAge", None, 12),
        Change("StudyDescription", None, "a=b"),
        Change("PatientName", "DOE^JANE", None),
    )
    assert json.loads(body) == json.loads(BODY) | {
        "PatientAge": 12,
        "StudyDescription": "a=b",
        "PatientName": None,
    }


def test_an_edit_that_changes_nothing_leaves_every_byte() -> None:
    assert make_edits(["Modality=MR"], ()).apply("InstanceStored", BODY) == (BODY, ())
    assert make_edits((), ()).apply("Foreign", b"\xff") == (b"\xff", ())


@pytest.mark.parametrize(
    ("message_type", "body", "said"),
    [
        ("Foreign", BODY, "no message type of ours"),
        ("InstanceStored", b"[]", "cannot be read"),
        ("InstanceStored", b"\xff", "cannot be read"),
        ("SeriesReceived", BODY, "cannot be read"),
    ],
)
def test_what_is_no_message_of_ours_is_not_edited(message_type: str, body: bytes, said: str) -> None:
    with pytest.raises(NotEditable, match=said):
        make_edits(["Modality=OT"], ()).apply(message_type, body)


def test_a_value_that_is_not_valid_is_named_without_its_value() -> None:
    with pytest.raises(NotEditable, match=r"^not a valid value: PatientAge$"):
        make_edits(["PatientAge=DOE"], ()).apply("InstanceStored", BODY)
