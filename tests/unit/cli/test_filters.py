from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lapidicom.cli.dead_letters.letter import read_letter
from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.cli.filters import Filters, make_filters, parse_time
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
        ({"ids": ["0b3f62c1.17"]}, True),
        ({"ids": ["0b3f62c1.1"]}, False),
        ({"since": "2026-11-24T11:00"}, True),
        ({"since": "2026-11-24T11:00:01+00:00"}, False),
        ({"until": "2026-11-24T12:00+01:00"}, True),
        ({"until": "2026-11-24"}, False),
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
    assert make_filters(**options).matches(LETTER) is fits


def test_no_option_is_no_filter() -> None:
    assert not make_filters().any
    assert make_filters(pacs=["A"]).any


def test_the_status_of_what_never_got_an_answer_is_none() -> None:
    assert make_filters(status=["none"]).matches(letter(1, "no_answer", None, ""))


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("30m", NOW - timedelta(minutes=30)),
        ("2h", NOW - timedelta(hours=2)),
        ("3d", NOW - timedelta(days=3)),
        ("2026-11-24", datetime(2026, 11, 24, tzinfo=UTC)),
        ("2026-11-24T03:00Z", datetime(2026, 11, 24, 3, tzinfo=UTC)),
        ("99999999999w", datetime.min.replace(tzinfo=UTC)),
    ],
)
def test_a_time_is_so_long_ago_or_an_iso_date(text: str, when: datetime) -> None:
    assert parse_time("--since", text, NOW) == when


@pytest.mark.parametrize(
    "options",
    [
        {"since": "yesterday"},
        {"until": "2h30m"},
        {"status": ["4xx"]},
        {"where": ["Modality"]},
        {"where": ["=MR"]},
        {"ids": [""]},
    ],
    ids=str,
)
def test_an_option_that_makes_no_sense_is_refused_with_what_to_give(options: dict[str, Any]) -> None:
    with pytest.raises(OperatorError) as caught:
        make_filters(**options)
    assert caught.value.status is ExitStatus.UNUSABLE
    assert "give" in caught.value.line


def test_a_letter_of_unknown_age_is_of_no_time() -> None:
    undated = read_letter(b"{}", properties({}))
    assert not Filters(since=datetime.min.replace(tzinfo=UTC)).matches(undated)
    assert Filters().matches(undated)
