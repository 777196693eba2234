import ast
import re
from pathlib import Path
from typing import Any

import pytest

from lapidicom.cli.causes import (
    ANY_OTHER_STATUS,
    BY_BROKER,
    CAUSES,
    DELIVERY_LIMIT,
    UNKNOWN_REASON,
    cause_of,
    known_reason,
    remedy,
)
from lapidicom.registrar import consumer, series
from lapidicom.registrar.consumer.retry import REFUSED_ON_THE_WAY
from lapidicom.registrar.cube import outcomes
from lapidicom.registrar.cube.contract import PATH_PREFIX
from lapidicom.registrar.cube.outcomes import (
    Outcome,
    Question,
    Sight,
    Verdict,
    judge,
    judge_after_look,
    judge_after_probe,
)
from lapidicom.registrar.cube.replies import Answer, Fault, NoAnswer, Reply

DEADLY = {"RETRY", "PERMANENT", "INVALID", "NOT_YET_VISIBLE"}
"""Outcomes that can end in the dead letters."""

OF_EARLIER_REGISTRARS = {"unknown-type", "unsupported-version"}
"""Reasons that dead letters may still bear."""

ID = "0b3f62c1.7"
RUNBOOK = Path(__file__).parents[3] / "docs/runbook.md"


def _reasons_in_code() -> set[str]:
    """The reasons of all deadly verdicts that the registrar's code spells out, up to a formatted value."""
    folders = [Path(room.__file__).parent for room in (consumer, outcomes, series)]
    reasons = set()
    for file in (file for folder in folders for file in folder.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                names = {part.attr for part in node.args if isinstance(part, ast.Attribute)}
                if names & DEADLY:
                    reasons |= {text for part in node.args if (text := _text(part)) is not None}
    return reasons


def _text(node: ast.expr) -> str | None:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
            return text
        case _:
            return None


def _verdicts() -> list[Verdict]:
    """What becomes of each status, and of each fault, at a CUBE that is well."""
    replies: list[Reply] = [Answer(status, "text/html", b"") for status in range(100, 600)]
    replies += [Answer(400, "application/json", body) for body in (b"{", b"[]", b'{"StudyDate":[]}')]
    replies += [NoAnswer(fault) for fault in Fault]
    verdicts = []
    for reply in replies:
        verdict = judge(reply, "path")
        if verdict is Question.IS_CUBE_WELL:
            verdict = judge_after_probe(reply, None)
        if verdict is Question.IS_THE_FILE_THERE:
            verdict = judge_after_look(reply, Sight.THERE)
        assert isinstance(verdict, Verdict)
        verdicts.append(verdict)
    return verdicts


def test_the_table_knows_every_reason_that_the_code_spells_out() -> None:
    reasons = _reasons_in_code()
    assert len(reasons) >= 7, reasons
    assert {reason for reason in reasons if cause_of(reason).reason == UNKNOWN_REASON} == set()


def test_the_table_knows_the_reason_of_every_answer_that_can_end_in_the_dead_letters() -> None:
    deadly = {verdict.reason for verdict in _verdicts() if verdict.outcome.name in DEADLY}
    assert {"http_500", "http_418", "http_200", "no_answer", "refused: StudyDate"} <= deadly
    assert {reason for reason in deadly if cause_of(reason).reason == UNKNOWN_REASON} == set()


def test_every_reason_that_a_registrar_gives_is_shown_whole() -> None:
    given = {verdict.reason for verdict in _verdicts() if verdict.outcome.name in DEADLY}
    given |= {f"{REFUSED_ON_THE_WAY}: http_403", "refused: StudyDate,path", "internal-error: ReadTimeout"}
    for fault in ("PatientID: blank", "path: longer than 512 characters", "path: not a normal path below "):
        given.add(f"unregistrable: {fault}" + (PATH_PREFIX if fault.endswith(" ") else ""))
    assert {reason for reason in given if known_reason(reason) != reason} == set()


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("refused: Schmidt Anna", "refused"),
        ("refused: StudyDate,Schmidt", "refused"),
        ("unregistrable: PatientID: Schmidt", "unregistrable"),
        ("internal-error: SchmidtAnna", "internal-error"),
        ("schmidt-anna", UNKNOWN_REASON),
        ("http_5000", UNKNOWN_REASON),
        ("", UNKNOWN_REASON),
    ],
)
def test_a_reason_that_nobody_of_us_gives_is_not_shown(given: str, shown: str) -> None:
    assert known_reason(given) == shown


def test_every_row_of_the_table_can_be_met() -> None:
    met = {verdict.reason for verdict in _verdicts() if verdict.outcome in {Outcome.RETRY, Outcome.PERMANENT}}
    met |= _reasons_in_code() | OF_EARLIER_REGISTRARS | {f"{REFUSED_ON_THE_WAY}: http_403"}
    met |= {DELIVERY_LIMIT, f"{BY_BROKER}: expired", UNKNOWN_REASON}
    assert {cause_of(reason).reason for reason in met} == {cause.reason for cause in CAUSES}


def test_the_runbook_has_a_section_for_each_reason_and_no_other() -> None:
    titles = re.findall(r"^### `(.+?)`", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE)
    assert titles == [cause.reason for cause in CAUSES]


def test_the_link_to_the_runbook_is_the_anchor_of_its_section() -> None:
    assert cause_of("file-missing").section == "docs/runbook.md#file-missing"
    assert cause_of("http_418").section == "docs/runbook.md#http_"


@pytest.mark.parametrize(
    ("reason", "row"),
    [
        ("refused: StudyDate,path", "refused"),
        ("http_500", "http_500"),
        ("http_418", ANY_OTHER_STATUS),
        ("internal-error: KeyError", "internal-error"),
        ("by-broker: maxlen", BY_BROKER),
        ("a reason of a later registrar", UNKNOWN_REASON),
    ],
)
def test_a_reason_is_found_by_what_stands_before_its_colon(reason: str, row: str) -> None:
    assert cause_of(reason).reason == row


def test_the_remedy_names_the_letter_so_that_it_can_be_copied() -> None:
    text = remedy("refused: Modality", ID)
    assert "`lapidicom dlq replay --id 0b3f62c1.7 --set Field=value`" in text


@pytest.mark.parametrize(
    ("reason", "mendable"),
    [("refused: Modality,PatientName", True), ("refused: Modality,StudyDate", False), ("refused", True)],
)
def test_identity_is_mended_at_the_sender_and_never_here(reason: str, mendable: bool) -> None:
    assert ("--set" in remedy(reason, ID)) is mendable
    assert ("at the sender" in remedy(reason, ID)) is not mendable


def test_the_remedy_of_a_group_names_its_reason_quoted_for_a_shell() -> None:
    text = remedy("refused: Modality", ID, of_group=True)
    assert "--reason 'refused: Modality' --set" in text
    assert "dlq show 0b3f62c1.7" in text


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.reason)
def test_every_remedy_is_a_command(cause: Any) -> None:
    assert re.search(r"`lapidicom [a-z]+", cause.remedy)
