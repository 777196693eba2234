import json

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

PATH = "SERVICES/PACS/X/p/s/r/1.dcm"
LOG_IN = "<html>Log in</html>"


def as_reply(answer: contract.Answer) -> Answer:
    media_type = answer.content_type.partition(";")[0].strip().lower()
    return Answer(answer.status, media_type, answer.body.encode())


def http(status: int, body: str = "", content_type: str = contract.JSON) -> contract.Answer:
    return contract.Answer(status, content_type, body)


def refusal(**fields: str) -> contract.Answer:
    text = ",".join(f'"{name}":["{text}"]' for name, text in fields.items())
    return http(400, f"{{{text}}}")


IF_WELL = Question.IS_CUBE_WELL

ROWS: dict[str, tuple[contract.Answer, Outcome | Question]] = {
    "created": (http(201, json.dumps({"id": 1, "fname": PATH})), Outcome.REGISTERED),
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
    "a PACS that somebody else creates": (contract.PACS_ALREADY_EXISTS, Outcome.RETRY),
    "wrong prefix": (refusal(path=contract.PATH_PREFIX), Outcome.PERMANENT),
    "wrong PACS": (refusal(non_field_errors=contract.PATH_OF_PACS.format("X")), Outcome.PERMANENT),
    "required": (refusal(PatientID=contract.REQUIRED), Outcome.PERMANENT),
    "blank": (refusal(PatientID=contract.BLANK), Outcome.PERMANENT),
    "null": (refusal(PatientName=contract.NULL), Outcome.PERMANENT),
    "too long": (refusal(PatientID=contract.TOO_LONG.format(100)), Outcome.PERMANENT),
    "wrong date": (refusal(StudyDate=contract.WRONG_DATE), Outcome.PERMANENT),
    "wrong integer": (refusal(PatientAge=contract.WRONG_INTEGER), Outcome.PERMANENT),
    # What stands between, or in CUBE's place: never a success, and never CUBE's refusal
    "201 of something else": (http(201, '{"id":1}'), IF_WELL),
    "201 of another path": (http(201, '{"fname":"SERVICES/PACS/X/other.dcm"}'), IF_WELL),
    "201 that is a page": (http(201, LOG_IN, "text/html"), IF_WELL),
    "200 that is a page": (http(200, LOG_IN, "text/html"), IF_WELL),
    "200 with CUBE's fields": (http(200, json.dumps({"fname": PATH})), IF_WELL),
    "host not allowed": (contract.HOST_NOT_ALLOWED, IF_WELL),
    "400 that says JSON and is none": (http(400, "<html>"), IF_WELL),
    "400 without CUBE's fields": (http(400, '{"code":"blocked"}'), IF_WELL),
    "400 of a gateway that names a path": (http(400, '{"path":"/api/v1/pacsfiles/","status":400}'), IF_WELL),
    "400 for what is no JSON any more": (contract.detail(400, "JSON parse error - Expecting value"), IF_WELL),
    "list (duplicate series of v6)": (http(400, '["A DICOM series with ... already"]'), IF_WELL),
    "no trailing slash": (http(301, "", "text/html"), IF_WELL),
    "redirect to a login": (http(302, "", "text/html"), IF_WELL),
    "not the user chris": (contract.FORBIDDEN, IF_WELL),
    "route unknown": (contract.NO_SUCH_PAGE, IF_WELL),
    "404 in JSON": (contract.detail(404, "Not found."), IF_WELL),
    "method not allowed": (contract.method_not_allowed("POST"), IF_WELL),
    "not acceptable": (contract.NOT_ACCEPTABLE, IF_WELL),
    "body too large for a proxy": (http(413, "", "text/html"), IF_WELL),
    "unsupported media type": (contract.unsupported_media_type("text/plain"), IF_WELL),
    "server error": (contract.SERVER_ERROR, IF_WELL),
    "bad gateway": (http(502, "", "text/html"), IF_WELL),
    "unknown client error": (http(418), IF_WELL),
    "unknown server error": (http(599), IF_WELL),
    # No proof is needed
    "no credentials": (contract.NO_CREDENTIALS, Outcome.OUTAGE),
    "wrong password": (contract.WRONG_PASSWORD, Outcome.OUTAGE),
    "bad token": (contract.INVALID_TOKEN, Outcome.OUTAGE),
    "rate limited": (http(429), Outcome.OUTAGE),
}


@pytest.mark.parametrize(("answer", "expected"), ROWS.values(), ids=ROWS.keys())
def test_each_answer_of_the_contract_has_its_outcome(
    answer: contract.Answer, expected: Outcome | Question
) -> None:
    found = judge(as_reply(answer), PATH)
    assert (found.outcome if isinstance(found, Verdict) else found) is expected


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b"<html>", b'{"fname":1}', b"[" * 100_000])
def test_no_status_is_a_success_without_what_cube_says(body: bytes) -> None:
    for status in range(100, 600):
        found = judge(Answer(status, "application/json", body), PATH)
        assert not isinstance(found, Verdict) or found.outcome is Outcome.OUTAGE


IF_THERE = Question.IS_THE_FILE_THERE


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, Outcome.REFUSED_ON_THE_WAY),
        (403, Outcome.REFUSED_ON_THE_WAY),
        (404, Outcome.REFUSED_ON_THE_WAY),
        (405, Outcome.REFUSED_ON_THE_WAY),
        (413, Outcome.REFUSED_ON_THE_WAY),
        (415, Outcome.REFUSED_ON_THE_WAY),
        (301, Outcome.HELD_UP),
        (302, Outcome.HELD_UP),
        (406, Outcome.HELD_UP),
        (502, Outcome.HELD_UP),
        (503, Outcome.HELD_UP),
        (504, Outcome.HELD_UP),
        (200, IF_THERE),
        (201, IF_THERE),
        (408, IF_THERE),
        (418, IF_THERE),
        (500, IF_THERE),
        (507, IF_THERE),
    ],
)
def test_what_a_well_cube_has_not_said_was_said_on_the_way(status: int, expected: Outcome | Question) -> None:
    reply = Answer(status, "text/html", b"")
    assert judge(reply, PATH) is Question.IS_CUBE_WELL
    found = judge_after_probe(reply, None)
    assert (found.outcome if isinstance(found, Verdict) else found) is expected


@pytest.mark.parametrize("status", [200, 201, 302, 400, 403, 404, 413, 418, 500, 502])
def test_whatever_is_answered_by_a_cube_that_is_not_well_is_an_outage(status: int) -> None:
    verdict = judge_after_probe(Answer(status, "text/html", b""), "its database is down")
    assert isinstance(verdict, Verdict)
    assert (verdict.outcome, verdict.reason) == (Outcome.OUTAGE, f"http_{status}")
    assert verdict.explanation == "its database is down"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault.NOT_CONNECTED, Outcome.OUTAGE),
        (Fault.NO_TOKEN, Outcome.OUTAGE),
        (Fault.NO_ANSWER, Question.IS_CUBE_WELL),
    ],
)
def test_each_missing_answer_has_its_outcome(fault: Fault, expected: Outcome | Question) -> None:
    found = judge(NoAnswer(fault, "cube:8000: connection refused"), PATH)
    assert (found.outcome if isinstance(found, Verdict) else found) is expected
    if isinstance(found, Verdict):
        assert found.explanation == "cube:8000: connection refused"


@pytest.mark.parametrize("reply", [as_reply(contract.SERVER_ERROR), NoAnswer(Fault.NO_ANSWER)])
@pytest.mark.parametrize(
    ("sight", "expected", "reason"),
    [
        (Sight.THERE, Outcome.RETRY, ""),
        (Sight.ABSENT, Outcome.NOT_YET_VISIBLE, "file_not_visible"),
        (Sight.VOLUME_GONE, Outcome.HELD_UP, "volume_not_visible"),
    ],
)
def test_an_attempt_is_spent_only_by_a_cube_that_is_well_for_a_file_that_is_there(
    reply: Reply, sight: Sight, expected: Outcome, reason: str
) -> None:
    assert judge_after_probe(reply, None) is Question.IS_THE_FILE_THERE
    verdict = judge_after_look(reply, sight)
    assert verdict.outcome is expected
    assert not reason or verdict.reason == reason


@pytest.mark.parametrize(
    ("sight", "expected", "reason"),
    [
        (Sight.THERE, Outcome.NOT_YET_VISIBLE, "not_yet_visible"),
        (Sight.ABSENT, Outcome.PERMANENT, "file-missing"),
        (Sight.VOLUME_GONE, Outcome.HELD_UP, "volume_not_visible"),
    ],
)
def test_a_path_that_cube_cannot_find_is_judged_by_what_we_see(
    sight: Sight, expected: Outcome, reason: str
) -> None:
    verdict = judge_after_look(as_reply(contract.COULD_NOT_FIND_PATH), sight)
    assert (verdict.outcome, verdict.reason, verdict.status) == (expected, reason, 400)


def test_who_lost_a_race_asks_again_at_once() -> None:
    new_pacs = judge(as_reply(contract.PACS_ALREADY_EXISTS), PATH)
    assert isinstance(new_pacs, Verdict)
    assert (new_pacs.again, new_pacs.reason) == (3, "pacs_exists")
    assert judge_after_look(as_reply(contract.SERVER_ERROR), Sight.THERE).again == 1
    assert judge_after_look(NoAnswer(Fault.NO_ANSWER), Sight.THERE).again == 0


def test_a_verdict_keeps_status_wait_and_a_bounded_excerpt() -> None:
    verdict = judge_after_look(Answer(408, "application/json", ("é" * 5000).encode(), 17.0), Sight.THERE)
    assert (verdict.status, verdict.retry_after, verdict.excerpt) == (408, 17.0, "é" * 500)


def test_the_reason_names_the_refused_fields_and_no_value() -> None:
    answer = http(
        400, '{"PatientSex":["\\"Jane Doe\\" is not a valid choice."],"Jane Doe":["?"],"StudyDate":["x"]}'
    )
    verdict = judge(as_reply(answer), PATH)
    assert isinstance(verdict, Verdict)
    assert verdict.reason == "refused: PatientSex,StudyDate"
