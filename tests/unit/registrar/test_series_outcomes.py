import json

import pytest

from lapidicom.registrar.cube.outcomes import Outcome, Question, Verdict
from lapidicom.registrar.cube.replies import Answer, Fault, NoAnswer, Reply
from lapidicom.registrar.cube.series_outcomes import (
    Found,
    SeriesKey,
    SeriesQuestion,
    judge_found,
    judge_series,
)
from tests.support.cube import contract

FOLDER = "SERVICES/PACS/X/p/s/r"
SERIES = SeriesKey("X", "1.2.3", FOLDER)
DESCRIBED = {"pacs_identifier": "X", "SeriesInstanceUID": "1.2.3", "folder_path": FOLDER}
DUPLICATE = contract.DUPLICATE_SERIES.format("1.2.3", "X")
COUNT = contract.OTHER_COUNT.format(FOLDER, 1, 2)


def answer(status: int, body: object, media_type: str = "application/json") -> Answer:
    return Answer(status, media_type, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("reply", "expected", "reason"),
    [
        (answer(201, DESCRIBED), Outcome.REGISTERED, "http_201"),
        (answer(400, {"non_field_errors": [COUNT]}), Outcome.NOT_YET_VISIBLE, "count-differs"),
        (answer(400, {"PatientID": [contract.REQUIRED]}), Outcome.PERMANENT, "refused: PatientID"),
        (answer(400, {"ndicom": [contract.NOT_POSITIVE]}), Outcome.PERMANENT, "refused: ndicom"),
        (
            answer(400, {"non_field_errors": [contract.SERIES_PATH_OF_PACS]}),
            Outcome.PERMANENT,
            "refused: non_field_errors",
        ),
        (answer(401, {"detail": "x"}), Outcome.OUTAGE, "http_401"),
        (NoAnswer(Fault.NOT_CONNECTED), Outcome.OUTAGE, "not_connected"),
        (NoAnswer(Fault.NO_TOKEN), Outcome.OUTAGE, "no_token"),
    ],
)
def test_each_answer_of_the_contract_has_its_outcome(reply: Reply, expected: Outcome, reason: str) -> None:
    verdict = judge_series(reply, SERIES)
    assert isinstance(verdict, Verdict)
    assert (verdict.outcome, verdict.reason) == (expected, reason)


def test_a_refused_duplicate_is_a_question_if_it_is_of_this_series() -> None:
    assert judge_series(answer(400, [DUPLICATE]), SERIES) is SeriesQuestion.IS_IT_REGISTERED
    for other in (DUPLICATE.replace("1.2.3", "1.2.4"), DUPLICATE.replace("pacs X", "pacs Y")):
        assert judge_series(answer(400, [other]), SERIES) is Question.IS_CUBE_WELL


@pytest.mark.parametrize(
    "reply",
    [
        answer(201, {**DESCRIBED, "folder_path": "SERVICES/PACS/X/other"}),
        answer(201, {**DESCRIBED, "pacs_identifier": "Y"}),
        answer(201, {**DESCRIBED, "SeriesInstanceUID": "1.2"}),
        answer(201, DESCRIBED, "text/html"),
        answer(200, DESCRIBED),
        answer(201, []),
        answer(400, []),
        answer(400, "no"),
        answer(400, None),
        answer(403, {"detail": "x"}),
        answer(404, {"detail": "x"}),
        answer(500, {"error": "x"}),
        answer(502, {}),
        NoAnswer(Fault.NO_ANSWER),
    ],
)
def test_what_is_not_cubes_word_on_this_series_needs_a_proof(reply: Reply) -> None:
    assert judge_series(reply, SERIES) is Question.IS_CUBE_WELL


@pytest.mark.parametrize("reply", [answer(400, [DUPLICATE]), answer(500, {}), NoAnswer(Fault.NO_ANSWER)])
@pytest.mark.parametrize(
    ("found", "expected", "reason"),
    [
        (Found(FOLDER, "inactive", 3), Outcome.ALREADY_REGISTERED, "already_registered"),
        (Found(FOLDER, "failed", 3), Outcome.ALREADY_REGISTERED, "already_registered"),
        (Found(FOLDER, "pending", 3), Outcome.HELD_UP, "deletion-pending"),
        (Found(FOLDER, "inactive", 2), Outcome.PERMANENT, "late-instances"),
        (Found(FOLDER, "inactive", 4), Outcome.NOT_YET_VISIBLE, "files-missing"),
        (Found("SERVICES/PACS/X/q/s/r", "inactive", 0), Outcome.PERMANENT, "other-folder"),
        (Found(None, "inactive", 1), Outcome.RETRY, "half-registered"),
        (Found(None, "inactive", 0), Outcome.RETRY, None),
    ],
)
def test_already_registered_is_a_success_only_from_our_folder_with_all_files(
    reply: Reply, found: Found, expected: Outcome, reason: str | None
) -> None:
    verdict = judge_found(reply, SERIES, found, 3)
    assert verdict.outcome is expected
    assert reason is None or verdict.reason == reason


def test_who_lost_a_first_contact_asks_again_at_once() -> None:
    nothing = Found(None, "inactive", 0)
    assert judge_found(answer(500, {}), SERIES, nothing, 3).again == 1
    assert judge_found(NoAnswer(Fault.NO_ANSWER), SERIES, nothing, 3).again == 0
