import pytest

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
from tests.support.cube import contract


def as_reply(answer: contract.Answer) -> Answer:
    media_type = answer.content_type.partition(";")[0].strip().lower()
    return Answer(answer.status, media_type, answer.body.encode())


def http(status: int, body: str = "", content_type: str = contract.JSON) -> contract.Answer:
    return contract.Answer(status, content_type, body)


def refusal(**fields: str) -> contract.Answer:
    text = ",".join(f'"{name}":["{text}"]' for name, text in fields.items())
    return http(400, f"{{{text}}}")


ROWS: dict[str, tuple[contract.Answer, Outcome | Question]] = {
    "created": (http(201, '{"id":1}'), Outcome.REGISTERED),
    "duplicate path": (contract.ALREADY_REGISTERED, Outcome.ALREADY_REGISTERED),
    "duplicate path beside another fault": (
        refusal(path=contract.DUPLICATE, Modality=contract.TOO_LONG.format(15)),
        Outcome.ALREADY_REGISTERED,
    ),
    "path not in storage": (contract.COULD_NOT_FIND_PATH, Question.IS_THE_FILE_THERE),
    "path not in storage beside another fault": (
        refusal(path=contract.NOT_FOUND, Modality=contract.TOO_LONG.format(15)),
        Outcome.PERMANENT,
    ),
    "wrong prefix": (refusal(path=contract.PATH_PREFIX), Outcome.PERMANENT),
    "wrong PACS": (refusal(non_field_errors=contract.PATH_OF_PACS.format("X")), Outcome.PERMANENT),
    "required": (refusal(PatientID=contract.REQUIRED), Outcome.PERMANENT),
    "blank": (refusal(PatientID=contract.BLANK), Outcome.PERMANENT),
    "null": (refusal(PatientName=contract.NULL), Outcome.PERMANENT),
    "too long": (refusal(PatientID=contract.TOO_LONG.format(100)), Outcome.PERMANENT),
    "wrong date": (refusal(StudyDate=contract.WRONG_DATE), Outcome.PERMANENT),
    "wrong integer": (refusal(PatientAge=contract.WRONG_INTEGER), Outcome.PERMANENT),
    "bad JSON": (contract.detail(400, "JSON parse error - Expecting value"), Outcome.PERMANENT),
    "list (duplicate series of v6)": (http(400, '["A DICOM series with ... already"]'), Outcome.PERMANENT),
    "host not allowed": (contract.HOST_NOT_ALLOWED, Outcome.OUTAGE),
    "400 that says JSON and is none": (http(400, "<html>"), Outcome.OUTAGE),
    "no trailing slash": (http(301, "", "text/html"), Outcome.OUTAGE),
    "redirect to a login": (http(302, "", "text/html"), Outcome.OUTAGE),
    "permanent redirect": (http(308), Outcome.OUTAGE),
    "no credentials": (contract.NO_CREDENTIALS, Outcome.OUTAGE),
    "wrong password": (contract.WRONG_PASSWORD, Outcome.OUTAGE),
    "bad token": (contract.INVALID_TOKEN, Outcome.OUTAGE),
    "not the user chris": (contract.FORBIDDEN, Outcome.OUTAGE),
    "route unknown": (contract.NO_SUCH_PAGE, Outcome.OUTAGE),
    "404 in JSON": (contract.detail(404, "Not found."), Outcome.OUTAGE),
    "method not allowed": (contract.method_not_allowed("POST"), Outcome.OUTAGE),
    "not acceptable": (contract.NOT_ACCEPTABLE, Outcome.OUTAGE),
    "body too large for a proxy": (http(413, "", "text/html"), Outcome.OUTAGE),
    "unsupported media type": (contract.unsupported_media_type("text/plain"), Outcome.OUTAGE),
    "rate limited": (http(429), Outcome.OUTAGE),
    "server error": (contract.SERVER_ERROR, Question.IS_CUBE_WELL),
    "bad gateway": (http(502, "", "text/html"), Outcome.OUTAGE),
    "unavailable": (http(503, "", "text/html"), Outcome.OUTAGE),
    "gateway time-out": (http(504, "", "text/html"), Outcome.OUTAGE),
    "a success that is no creation": (http(200, "{}"), Question.IS_CUBE_WELL),
    "request time-out": (http(408), Question.IS_CUBE_WELL),
    "conflict": (http(409), Question.IS_CUBE_WELL),
    "unknown client error": (http(418), Question.IS_CUBE_WELL),
    "insufficient storage": (http(507), Question.IS_CUBE_WELL),
    "unknown server error": (http(599), Question.IS_CUBE_WELL),
}


@pytest.mark.parametrize(("answer", "expected"), ROWS.values(), ids=ROWS.keys())
def test_each_answer_of_the_contract_has_its_outcome(
    answer: contract.Answer, expected: Outcome | Question
) -> None:
    found = judge(as_reply(answer))
    assert (found.outcome if isinstance(found, Verdict) else found) is expected


def test_only_a_creation_or_a_duplicate_counts_as_success() -> None:
    for status in range(100, 600):
        if status not in (201, 400):
            found = judge(Answer(status, "application/json", b"{}"))
            assert not isinstance(found, Verdict) or found.outcome not in (
                Outcome.REGISTERED,
                Outcome.ALREADY_REGISTERED,
            )


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault.NOT_CONNECTED, Outcome.OUTAGE),
        (Fault.NO_TOKEN, Outcome.OUTAGE),
        (Fault.NO_ANSWER, Question.IS_CUBE_WELL),
    ],
)
def test_each_missing_answer_has_its_outcome(fault: Fault, expected: Outcome | Question) -> None:
    found = judge(NoAnswer(fault))
    assert (found.outcome if isinstance(found, Verdict) else found) is expected


@pytest.mark.parametrize("reply", [as_reply(contract.SERVER_ERROR), NoAnswer(Fault.NO_ANSWER)])
@pytest.mark.parametrize(("well", "expected"), [(True, Outcome.RETRY), (False, Outcome.OUTAGE)])
def test_an_attempt_is_spent_only_by_a_cube_that_is_well(reply: Reply, well: bool, expected: Outcome) -> None:
    assert judge_after_probe(reply, well=well).outcome is expected


@pytest.mark.parametrize(
    ("sight", "expected", "reason"),
    [
        (Sight.THERE, Outcome.NOT_YET_VISIBLE, "not_yet_visible"),
        (Sight.ABSENT, Outcome.PERMANENT, "file-missing"),
        (Sight.VOLUME_GONE, Outcome.OUTAGE, "volume_not_visible"),
    ],
)
def test_a_path_that_cube_cannot_find_is_judged_by_what_we_see(
    sight: Sight, expected: Outcome, reason: str
) -> None:
    verdict = judge_after_look(as_reply(contract.COULD_NOT_FIND_PATH), sight)
    assert (verdict.outcome, verdict.reason, verdict.status) == (expected, reason, 400)


def test_a_verdict_keeps_status_wait_and_a_bounded_excerpt() -> None:
    verdict = judge_after_probe(Answer(408, "application/json", ("é" * 5000).encode(), 17.0), well=True)
    assert (verdict.status, verdict.retry_after, verdict.excerpt) == (408, 17.0, "é" * 500)


def test_the_reason_names_the_refused_fields_and_no_value() -> None:
    answer = http(
        400, '{"PatientSex":["\\"Jane Doe\\" is not a valid choice."],"Jane Doe":["?"],"StudyDate":["x"]}'
    )
    verdict = judge(as_reply(answer))
    assert isinstance(verdict, Verdict)
    assert verdict.reason == "refused: PatientSex,StudyDate"
