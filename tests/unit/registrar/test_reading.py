import pytest

from lapidicom.registrar.consumer.reading import read
from lapidicom.registrar.cube.outcomes import Outcome, Verdict
from tests.support.stored import instance_stored

BODY = instance_stored().model_dump_json().encode()


def test_a_message_is_read_by_its_type_and_version() -> None:
    assert read("InstanceStored", 1, BODY) == instance_stored()


def test_unknown_fields_are_ignored() -> None:
    assert read("InstanceStored", 1, BODY[:-1] + b',"later":1}') == instance_stored()


@pytest.mark.parametrize(
    ("message_type", "version", "body", "outcome", "reason"),
    [
        ("InstanceStored", 2, BODY, Outcome.UNKNOWN_FORMAT, "unknown-version"),
        ("InstanceStored", 2, b"not even JSON", Outcome.UNKNOWN_FORMAT, "unknown-version"),
        ("InstanceStored", 0, BODY, Outcome.UNKNOWN_FORMAT, "unknown-version"),
        ("InstanceStored", -1, BODY, Outcome.UNKNOWN_FORMAT, "unknown-version"),
        ("InstanceStored", 1, b"", Outcome.INVALID, "undecodable"),
        ("InstanceStored", 1, b"\xff", Outcome.INVALID, "undecodable"),
        ("InstanceStored", 1, b"{}", Outcome.INVALID, "undecodable"),
        ("InstanceStored", 1, b"[]", Outcome.INVALID, "undecodable"),
        ("SeriesReceived", 1, BODY, Outcome.INVALID, "undecodable"),
        ("", 0, BODY, Outcome.UNKNOWN_FORMAT, "unknown-type"),
        ("instance.stored", 1, BODY, Outcome.UNKNOWN_FORMAT, "unknown-type"),
        ("Something", 7, BODY, Outcome.UNKNOWN_FORMAT, "unknown-type"),
    ],
)
def test_what_cannot_be_read_has_its_outcome(
    message_type: str, version: int, body: bytes, outcome: Outcome, reason: str
) -> None:
    assert read(message_type, version, body) == Verdict(outcome, reason)
