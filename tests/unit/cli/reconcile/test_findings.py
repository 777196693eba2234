"""Why a stored file is not in CUBE, and what is done about it, as a table."""

from datetime import UTC, datetime

import pytest

from lapidicom.cli.reconcile.fate import Fate, Missing, Recorded
from lapidicom.cli.reconcile.findings import Files, Findings, NotOnVolume
from lapidicom.common.journal.survey import RelayState

NOW = 1_700_000_000.0
OLD, JUST_NOW = NOW - 3600, NOW - 1
SETTLED_BEFORE = NOW - 300
PATH = "SERVICES/PACS/P/a/b/c/0001-1.2.dcm"


def recorded(relay: RelayState = RelayState.RELAYED, received: float = OLD) -> Recorded:
    return Recorded("life.1", b"", relay, datetime.fromtimestamp(received, UTC))


def letter(reason: str) -> tuple[str, str]:
    return "life.1", reason


CASES = [
    (Missing(PATH, OLD), False, Fate.LOST),
    (Missing(PATH, OLD), True, Fate.WAITING),
    (Missing(PATH, JUST_NOW), False, Fate.YOUNG),
    (Missing(PATH, OLD, recorded()), False, Fate.LOST),
    (Missing(PATH, OLD, recorded()), True, Fate.WAITING),
    (Missing(PATH, OLD, recorded(received=JUST_NOW)), False, Fate.YOUNG),
    (Missing(PATH, OLD, recorded(RelayState.NOT_RELAYED)), False, Fate.NOT_RELAYED),
    (Missing(PATH, OLD, recorded(RelayState.NOT_RELAYED)), True, Fate.NOT_RELAYED),
    (Missing(PATH, OLD, recorded(RelayState.BEHIND_MARK)), False, Fate.NOT_RELAYED),
    (Missing(PATH, JUST_NOW, recorded(RelayState.BEHIND_MARK, JUST_NOW)), False, Fate.YOUNG),
    (Missing(PATH, OLD, recorded(RelayState.NEVER_ANSWERED_OR_RELAYED)), False, Fate.LOST),
    (Missing(PATH, OLD, recorded(RelayState.SET_ASIDE)), False, Fate.LOST),
    (Missing(PATH, OLD, recorded(), letter("refused: path")), False, Fate.DEAD_LETTER),
    (Missing(PATH, JUST_NOW, None, letter("http_500")), True, Fate.DEAD_LETTER),
    (Missing(PATH, OLD, recorded(), letter("undecodable")), False, Fate.LOST),
    (Missing(PATH, OLD, recorded(), letter("unsupported-version: 0")), False, Fate.LOST),
]


@pytest.mark.parametrize(("missing", "may_wait", "fate"), CASES)
def test_the_fate_of_a_missing_file(missing: Missing, may_wait: bool, fate: Fate) -> None:
    assert missing.fate(settled_before=SETTLED_BEFORE, may_wait=may_wait) is fate


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


def test_a_run_is_sound_once_all_that_was_lost_is_enqueued_or_registered_meanwhile() -> None:
    findings = found(Fate.LOST, Fate.LOST, Fate.YOUNG)
    assert (findings.left, findings.sound) == (2, False)
    findings.enqueued, findings.registered_meanwhile = 1, 1
    assert (findings.left, findings.sound) == (0, True)


@pytest.mark.parametrize("fate", [Fate.DEAD_LETTER, Fate.NOT_RELAYED, Fate.WAITING, Fate.UNREADABLE])
def test_what_is_left_alone_is_missing_still(fate: Fate) -> None:
    assert not found(fate).sound


def test_what_only_cube_or_only_a_journal_has_is_not_sound() -> None:
    assert Findings().sound
    for findings in (
        Findings(not_on_volume=NotOnVolume(unnamed=1)),
        Findings(not_on_volume=NotOnVolume(count=1)),
        Findings(not_on_volume=NotOnVolume(in_other_folders={"P": 1})),
        Findings(in_journal_without_file=Files(count=1)),
    ):
        assert not findings.sound


def test_paths_are_masked_unless_patient_data_is_shown() -> None:
    for show_phi, shown in ((False, "SERVICES/PACS/P/***/***/***/0001-1.2.dcm"), (True, PATH)):
        findings = Findings(show_phi=show_phi)
        findings.add(findings.not_in_cube[Fate.LOST], PATH)
        assert [one.path for one in findings.not_in_cube[Fate.LOST].files] == [shown]
