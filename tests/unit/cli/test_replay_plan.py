"""What a replay makes of each letter: the first walk counts what the second one does."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from lapidicom.cli import replay_plan as names
from lapidicom.cli.filters import Filters
from lapidicom.cli.letter import DeadLetter, read_letter
from lapidicom.cli.replay_plan import (
    EDITABLE,
    REPLAY,
    Edits,
    NotEditable,
    Plan,
    Replayed,
    edit,
    read_edits,
    replayed,
)
from lapidicom.common.messages import InstanceStored, SeriesReceived
from lapidicom.registrar.consumer import headers as told
from lapidicom.registrar.consumer.headers import after_attempt, history
from lapidicom.registrar.cube.outcomes import Outcome, Verdict
from tests.support.letters import letter, properties

LATER = "2026-11-24T04:00:00.000+00:00"
BODY = letter(1).body


def plan(is_meant: Callable[[DeadLetter], bool] = lambda _: True, edits: Edits | None = None) -> Plan:
    return Plan(is_meant, edits or {}, "r1")


def seen(made: Plan, *letters: DeadLetter, first: int = 0, show_phi: bool = False) -> Replayed:
    """What the first walk counts."""
    answer = Replayed(replay="r1", show_phi=show_phi)
    for one in letters:
        answer.see(one, made, first)
    return answer


def sent(made: Plan, *letters: DeadLetter) -> list[bool]:
    """Which letters a plan takes."""
    return [made.envelope(one) is not None for one in letters]


# Selection


def test_only_what_the_filters_mean_is_sent() -> None:
    made, letters = (
        plan(Filters(reason=["refused"]).matches),
        [letter(1, "refused: path"), letter(2, "file-missing")],
    )
    assert sent(made, *letters) == [True, False]
    answer = seen(made, *letters)
    assert (answer.letters, answer.selected, answer.reasons) == (2, 1, {"refused: path": 1})


def test_of_the_first_so_many_no_more_are_counted() -> None:
    answer = seen(plan(), letter(1), letter(2), letter(3), first=2)
    assert (answer.letters, answer.selected) == (3, 2)


def test_copies_are_sent_each_for_two_registrations_are_one() -> None:
    assert sent(plan(), letter(1), letter(1)) == [True, True]


def test_what_came_back_from_this_very_replay_is_not_sent_again() -> None:
    letters = [letter(1, headers={REPLAY: "r1"}), letter(2, headers={REPLAY: "r0"})]
    assert sent(plan(), *letters) == [False, True]
    assert seen(plan(), *letters).selected == 1


def test_an_edited_letter_is_sent_with_its_new_body_and_one_that_cannot_be_edited_is_left() -> None:
    made = plan(edits={"Modality": "OT"})
    letters = [letter(1), letter(2, body=b"?"), letter(3, Modality="OT")]
    answer = seen(made, *letters)
    assert (answer.selected, answer.edited, answer.not_editable) == (2, 1, {"the message cannot be read": 1})
    first, third = made.envelope(letters[0]), made.envelope(letters[2])
    assert first is not None
    assert third is not None
    assert b'"Modality":"OT"' in first[0].body
    assert third[0].body == letters[2].body
    with pytest.raises(NotEditable):
        made.envelope(letters[1])


@pytest.mark.parametrize(("show_phi", "shown"), [(False, ("***", "***")), (True, ("'MR'", "'OT'"))])
def test_examples_of_edits_are_masked_unless_patient_data_is_shown(
    show_phi: bool, shown: tuple[str, str]
) -> None:
    made = plan(edits={"Modality": "OT"})
    answer = seen(made, *(letter(number) for number in range(9)), show_phi=show_phi)
    assert answer.edited == 9
    assert [(one.before, one.after) for one in answer.edits] == [shown] * 5


# Headers


def test_attempts_start_anew_and_the_first_attempt_is_remembered() -> None:
    died = datetime(2026, 11, 1, tzinfo=UTC)
    headers = replayed(letter(attempts=4, died=died), "r1")
    assert history(headers).attempts == 0
    assert history(headers).first == died.isoformat(timespec="milliseconds")
    assert not {told.REASON, told.HTTP_STATUS, told.ANSWER, told.LAST_ATTEMPT, told.REGISTRAR} & set(headers)


def test_what_had_happened_goes_along() -> None:
    headers = replayed(letter(1, "refused: path", 400, attempts=4), "r1", ["Modality"])
    assert headers[names.FORMER_REASON] == "refused: path"
    assert headers[names.FORMER_STATUS] == 400
    assert headers[names.FORMER_ATTEMPTS] == 4
    assert (headers[names.REPLAY], headers[names.REPLAYS]) == ("r1", 1)
    assert headers[names.EDITED] == "Modality"


def test_a_registrar_keeps_the_replays_headers_when_the_message_fails_again() -> None:
    first = replayed(letter(1, "refused: path", attempts=4), "r1", ["Modality"])
    failed = after_attempt(first, Verdict(Outcome.PERMANENT, "file-missing"), 1, LATER, "registrar-1")
    assert (failed[names.REPLAY], failed[names.REPLAYS]) == ("r1", 1)
    assert (failed[told.REASON], failed[told.ATTEMPTS]) == ("file-missing", 1)
    assert failed[names.FORMER_REASON] == "refused: path"
    again = replayed(read_letter(b"{}", properties(dict(failed))), "r2", ["AccessionNumber"])
    assert (again[names.REPLAY], again[names.REPLAYS]) == ("r2", 2)
    assert again[names.FORMER_ATTEMPTS] == 5
    assert again[names.FORMER_REASON] == "file-missing"
    assert names.FORMER_STATUS not in again
    assert again[names.EDITED] == "AccessionNumber,Modality"


def test_headers_of_others_stay_and_the_brokers_and_what_cannot_be_published_do_not() -> None:
    found: dict[str, Any] = {"x-death": [{"queue": "q"}], "x-delivery-count": 3, "raw": b"\xff", "ours": 1}
    found["lapidicom-reconcile"] = "run"
    headers = replayed(read_letter(b"{}", properties(found)), "r1")
    assert (headers["ours"], headers["lapidicom-reconcile"]) == (1, "run")
    assert not {"x-death", "x-delivery-count", "raw"} & set(headers)


def test_malformed_counts_begin_at_nothing() -> None:
    found = {names.REPLAYS: "many", names.FORMER_ATTEMPTS: -3, names.EDITED: 7}
    headers = replayed(read_letter(b"{}", properties(found)), "r1")
    assert (headers[names.REPLAYS], headers[names.FORMER_ATTEMPTS]) == (1, 0)


# Edits


@pytest.mark.parametrize(
    "name", sorted({*InstanceStored.model_fields, *SeriesReceived.model_fields} - set(EDITABLE))
)
def test_what_identifies_or_was_measured_cannot_be_edited(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' may not be edited"):
        read_edits([f"{name}=1"], ())


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
    with pytest.raises(ValueError, match=said):
        read_edits(given, unset)


def test_an_edit_tells_what_really_changes() -> None:
    edits = read_edits(["Modality=MR", "PatientAge=12", "StudyDescription=a=b"], ["PatientName"])
    body, changes = edit(letter(1), edits)
    assert changes == [
        ("PatientAge", None, 12),
        ("StudyDescription", None, "a=b"),
        ("PatientName", "DOE^JANE", None),
    ]
    assert json.loads(body) == json.loads(BODY) | {
        "PatientAge": 12,
        "StudyDescription": "a=b",
        "PatientName": None,
    }


def test_an_edit_that_changes_nothing_leaves_every_byte() -> None:
    assert edit(letter(1), read_edits(["Modality=MR"], ())) == (BODY, [])
    assert edit(letter(1, body=b"\xff"), {}) == (b"\xff", [])


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
    one = read_letter(body, properties({}, message_type=message_type))
    with pytest.raises(NotEditable, match=said):
        edit(one, {"Modality": "OT"})


def test_a_value_that_is_not_valid_is_named_without_its_value() -> None:
    with pytest.raises(NotEditable, match=r"^not a valid value: PatientAge$"):
        edit(letter(1), {"PatientAge": "DOE"})
