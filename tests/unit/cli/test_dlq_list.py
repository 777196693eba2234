"""Groups of dead letters: what they have in common, and an example."""

from datetime import UTC, datetime, timedelta

from lapidicom.cli.verbs.dlq_list import KEYS, Group, GroupBy
from tests.support.letters import letter

WHEN = datetime(2026, 11, 24, 3, 30, tzinfo=UTC)


def _keys(by: GroupBy) -> dict[str, int]:
    letters = [
        letter(number, "refused: PatientName", 400, f'{{"PatientName":["DOE^JANE {number}?"]}}')
        for number in range(1, 6)
    ]
    letters.append(letter(6, "no_answer", None, "", pacs_name="PACS2", died=WHEN))
    letters.append(letter(7, "no_answer", None, "", SeriesInstanceUID="x", died=WHEN + timedelta(minutes=29)))
    keys = [KEYS[by](one) for one in letters]
    return {key: keys.count(key) for key in keys}


def test_letters_of_one_cause_are_one_group_whoever_they_are_about() -> None:
    assert _keys(GroupBy.REASON) == {"refused: PatientName (PatientName: …)": 5, "no_answer": 2}


def test_letters_are_grouped_by_what_they_have_in_common() -> None:
    assert _keys(GroupBy.STATUS) == {"400": 5, "none": 2}
    assert _keys(GroupBy.PACS) == {"ORTHANC": 6, "PACS2": 1}
    assert _keys(GroupBy.SERIES) == {"1.2.3.4": 6, "unknown": 1}
    assert _keys(GroupBy.HOUR)["2026-11-24 03:00Z"] == 2


def test_a_group_knows_its_oldest_its_reasons_and_an_example() -> None:
    first = letter(1, "no_answer", None, "", died=WHEN)
    group = Group.of("ORTHANC", first)
    group.add(first)
    group.add(letter(2, "http_500", 500, "", died=WHEN - timedelta(hours=1)))
    assert (group.oldest, group.youngest, group.count) == (WHEN - timedelta(hours=1), WHEN, 2)
    assert group.reasons == {"no_answer": 1, "http_500": 1}
    assert group.example.endswith(".1")
    assert "--reason no_answer" in group.remedy
