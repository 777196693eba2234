from datetime import UTC, datetime, timedelta

import pytest

from lapidicom.cli.ages import age
from lapidicom.cli.grouping import GroupBy, Groups
from tests.support.letters import letter

WHEN = datetime(2026, 11, 24, 3, 30, tzinfo=UTC)


def _groups(by: GroupBy) -> dict[str, int]:
    groups = Groups(by)
    for number in range(1, 6):
        groups.add(letter(number, "refused: PatientName", 400, f'{{"PatientName":["DOE^JANE {number}?"]}}'))
    groups.add(letter(6, "no_answer", None, "", pacs_name="PACS2", died=WHEN))
    groups.add(letter(7, "no_answer", None, "", SeriesInstanceUID="x", died=WHEN + timedelta(minutes=29)))
    return {group.key: group.count for group in groups.largest_first()}


def test_letters_of_one_cause_are_one_group_whoever_they_are_about() -> None:
    assert _groups(GroupBy.REASON) == {"refused: PatientName (PatientName: …?)": 5, "no_answer": 2}


def test_letters_are_grouped_by_what_they_have_in_common() -> None:
    assert _groups(GroupBy.STATUS) == {"400": 5, "none": 2}
    assert _groups(GroupBy.PACS) == {"ORTHANC": 6, "PACS2": 1}
    assert _groups(GroupBy.SERIES) == {"1.2.3.4": 6, "unknown": 1}
    assert _groups(GroupBy.HOUR)["2026-11-24 03:00Z"] == 2


def test_a_group_knows_its_oldest_its_reasons_and_an_example() -> None:
    groups = Groups(GroupBy.PACS)
    groups.add(letter(1, "no_answer", None, "", died=WHEN))
    groups.add(letter(2, "http_500", 500, "", died=WHEN - timedelta(hours=1)))
    (group,) = groups.largest_first()
    assert (group.oldest, group.youngest) == (WHEN - timedelta(hours=1), WHEN)
    assert group.reasons == {"no_answer": 1, "http_500": 1}
    assert group.example.endswith(".1")
    assert "--reason no_answer" in group.remedy


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h 0m"), (90_061, "1d 1h")],
)
def test_ages_have_two_units_at_most(seconds: int, text: str) -> None:
    assert age(WHEN, WHEN + timedelta(seconds=seconds)) == text


def test_an_unknown_age_is_empty() -> None:
    assert age(None, WHEN) == ""
