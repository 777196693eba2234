from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lapidicom.cli.filters import Filters
from lapidicom.cli.letter import read_letter
from tests.support.command import in_process
from tests.support.letters import letter, properties

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)

LETTER = letter(17, "refused: StudyDate", 400, died=NOW - timedelta(hours=1), Modality="MR")


@pytest.mark.parametrize(
    ("options", "fits"),
    [
        ({}, True),
        ({"reason": ["refused: StudyDate"]}, True),
        ({"reason": ["refused"]}, True),
        ({"reason": ["refuse"]}, False),
        ({"reason": ["file-missing", "refused"]}, True),
        ({"status": ["400"]}, True),
        ({"status": ["none"]}, False),
        ({"series": ["1.2.3.4"]}, True),
        ({"series": ["1.2.3"]}, False),
        ({"pacs": ["ORTHANC"]}, True),
        ({"pacs": ["orthanc"]}, False),
        ({"id": ["0b3f62c1.17"]}, True),
        ({"id": ["0b3f62c1.1"]}, False),
        ({"since": NOW - timedelta(hours=1)}, True),
        ({"since": NOW - timedelta(seconds=3599)}, False),
        ({"until": NOW - timedelta(hours=1)}, True),
        ({"until": NOW - timedelta(hours=12)}, False),
        ({"where": ["Modality=MR"]}, True),
        ({"where": ["Modality=M*"]}, True),
        ({"where": ["Modality=M?"]}, False),
        ({"where": ["Modality="]}, False),
        ({"where": ["PatientName=DOE*", "lapidicom-attempts=1"]}, True),
        ({"where": ["AccessionNumber="]}, True),
        ({"where": ["NoSuchField="]}, False),
        ({"reason": ["refused"], "status": ["500"]}, False),
    ],
    ids=str,
)
def test_a_letter_is_meant_if_every_filter_fits(options: dict[str, Any], fits: bool) -> None:
    assert Filters(**options).matches(LETTER) is fits


def test_no_option_is_no_filter() -> None:
    assert not Filters().are_given
    assert Filters(pacs=["A"]).are_given


def test_the_status_of_what_never_got_an_answer_is_none() -> None:
    assert Filters(status=["none"]).matches(letter(1, "no_answer", None, ""))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--since", "yesterday"), "'yesterday' is no time: give 30m"),
        (("--until", "2h30m"), "'2h30m' is no time: give 30m"),
        (("--status", "4xx"), "'4xx' is no HTTP status: give a number such as 400"),
        (("--where", "Modality"), "'Modality' is no KEY=VALUE: give, say, Modality=MR"),
        (("--where", "=MR"), "'=MR' is no KEY=VALUE"),
        (("--id", ""), "'' is empty"),
    ],
    ids=str,
)
def test_an_option_that_makes_no_sense_is_refused_with_what_to_give(
    options: tuple[str, ...], told: str
) -> None:
    ended = in_process("dlq", "list", *options)
    assert (ended.status, ended.out) == (2, "")
    assert f"Invalid value for '{options[0]}': {told}" in ended.err


def test_filters_are_told_without_values_that_may_be_patient_data() -> None:
    filters = Filters(reason=["refused"], since=NOW, where=["PatientName=DOE", "Modality=MR"])
    assert str(filters) == (
        "--reason refused --since 2026-11-24 12:00:00+00:00 --where PatientName=*** --where Modality=***"
    )


def test_a_letter_of_unknown_age_is_of_no_time() -> None:
    undated = read_letter(b"{}", properties({}))
    assert not Filters(since=datetime.min.replace(tzinfo=UTC)).matches(undated)
    assert Filters().matches(undated)
