"""Why a stored file is not in CUBE, and what is done about it, as a table."""

import json
from datetime import UTC, datetime

import pytest

from lapidicom.cli.reconcile.fate import Fate, Missing
from lapidicom.cli.reconcile.findings import Files, Findings, NotOnVolume
from lapidicom.common.journal.records import INSTANCE_RECEIVED, Record
from lapidicom.common.journal.survey import RelayState, SurveyedRecord

NOW = 1_700_000_000.0
OLD, JUST_NOW = NOW - 3600, NOW - 1
SETTLED_BEFORE = NOW - 300
PATH = "SERVICES/PACS/P/a/b/c/0001-1.2.dcm"


def record(
    relay: RelayState = RelayState.RELAYED, received: float = OLD, sequence: int = 1
) -> SurveyedRecord:
    body = json.dumps({"received_at": datetime.fromtimestamp(received, UTC).isoformat()}).encode()
    return SurveyedRecord("receiver", "life", relay, Record(sequence, INSTANCE_RECEIVED, body))


def missing(
    *records: SurveyedRecord, received: float = OLD, letter: str = "", is_late: bool = False
) -> Missing:
    one = Missing(PATH, received, letter=("life.1", letter) if letter else None, is_late=is_late)
    for found in records:
        one.note(found)
    return one


CASES = [
    (missing(), False, Fate.LOST),
    (missing(), True, Fate.WAITING),
    (missing(received=JUST_NOW), False, Fate.YOUNG),
    (missing(record()), False, Fate.LOST),
    (missing(record()), True, Fate.WAITING),
    (missing(record(received=JUST_NOW)), False, Fate.YOUNG),
    (missing(record(RelayState.NOT_RELAYED)), False, Fate.NOT_RELAYED),
    (missing(record(RelayState.NOT_RELAYED)), True, Fate.NOT_RELAYED),
    (missing(record(RelayState.NOT_RELAYED), record()), False, Fate.NOT_RELAYED),
    (missing(record(RelayState.BEHIND_MARK)), False, Fate.NOT_RELAYED),
    (missing(record(RelayState.BEHIND_MARK, JUST_NOW), received=JUST_NOW), False, Fate.YOUNG),
    (missing(record(RelayState.NEVER_ANSWERED_OR_RELAYED)), False, Fate.LOST),
    (missing(record(RelayState.SET_ASIDE)), False, Fate.LOST),
    (missing(record(), letter="refused: path"), False, Fate.DEAD_LETTER),
    (missing(received=JUST_NOW, letter="http_500"), True, Fate.DEAD_LETTER),
    (missing(record(), letter="undecodable"), False, Fate.LOST),
    (missing(record(), letter="unsupported-version: 0"), False, Fate.LOST),
    (missing(is_late=True), False, Fate.LATE),
    (missing(is_late=True), True, Fate.WAITING),
    (missing(is_late=True, received=JUST_NOW), False, Fate.YOUNG),
    (missing(record(), is_late=True, letter="late-instances"), False, Fate.DEAD_LETTER),
]


@pytest.mark.parametrize(("one", "may_wait", "fate"), CASES)
def test_the_fate_of_a_missing_file(one: Missing, may_wait: bool, fate: Fate) -> None:
    assert one.fate(settled_before=SETTLED_BEFORE, may_wait=may_wait) is fate


def test_of_several_records_the_latest_is_kept_wherever_it_stands() -> None:
    early, late = record(received=OLD, sequence=1), record(received=OLD + 60, sequence=2)
    assert missing(early, late).record == missing(late, early).record == late


def test_all_are_counted_and_only_the_first_are_kept() -> None:
    findings = Findings(most=3)
    for number in range(5):
        findings.add(findings.in_journal_without_file, str(number))
    assert (findings.in_journal_without_file.count, len(findings.in_journal_without_file.files)) == (5, 3)


def found(*fates: Fate) -> Findings:
    findings = Findings()
    for fate in fates:
        findings.add(findings.not_in_cube[fate], PATH)
    return findings


def test_a_run_is_sound_once_all_that_was_lost_is_enqueued() -> None:
    findings = found(Fate.LOST, Fate.LOST, Fate.YOUNG)
    assert (findings.unsound, findings.sound) == (2, False)
    findings.enqueued = 2
    assert (findings.unsound, findings.sound) == (0, True)


@pytest.mark.parametrize("fate", [Fate.DEAD_LETTER, Fate.NOT_RELAYED, Fate.WAITING, Fate.UNREADABLE])
def test_what_is_left_alone_is_missing_still(fate: Fate) -> None:
    assert not found(fate).sound


def test_what_only_cube_or_only_a_journal_has_is_not_sound() -> None:
    assert Findings().sound
    for findings in (
        Findings(not_on_volume=NotOnVolume(unnamed=1)),
        Findings(not_on_volume=NotOnVolume(count=1)),
        Findings(in_journal_without_file=Files(count=1)),
    ):
        assert not findings.sound


def test_paths_are_masked_unless_patient_data_is_shown() -> None:
    for show_phi, shown in ((False, "SERVICES/PACS/P/***/***/***/0001-1.2.dcm"), (True, PATH)):
        findings = Findings(show_phi=show_phi)
        findings.add(findings.not_in_cube[Fate.LOST], PATH)
        assert [one.path for one in findings.not_in_cube[Fate.LOST].files] == [shown]
