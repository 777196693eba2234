"""What each reply says of CUBE, and whose fault it is."""

import json

import pytest

from lapidicom.registrar.cube.availability import (
    DATABASE,
    NOT_CUBE,
    WRONG_ACCOUNT,
    WRONG_USER,
    trouble,
    trouble_at_root,
    trouble_registering,
    trouble_with_token,
)
from lapidicom.registrar.cube.replies import Answer, Fault, NoAnswer, Reply

JSON = "application/json"
REFUSED = "cube:8000: connection refused: nothing listens there"
FAILED = b'{"error":"Internal server error"}'
PAGE = Answer(200, "text/html", b"<html>Log in</html>")
INSTANCE = Answer(
    200, JSON, json.dumps({"url": "http://cube/api/v1/chrisinstance/1/", "uuid": "4bbb"}).encode()
)


def root(*links: str) -> Answer:
    return Answer(200, JSON, json.dumps({"collection_links": dict.fromkeys(links, "x")}).encode())


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (root("pacsfiles"), None),
        (root("pacsfiles", "pacsseries"), None),
        (root("plugins"), NOT_CUBE),
        (PAGE, NOT_CUBE),
        (Answer(200, JSON, b"{}"), NOT_CUBE),
        (Answer(404, "text/html", b""), NOT_CUBE),
        (Answer(302, "text/html", b""), NOT_CUBE),
        (Answer(400, "text/html", b""), "DJANGO_ALLOWED_HOSTS"),
        (Answer(502, "text/html", b""), "CUBE is not up"),
        (NoAnswer(Fault.NOT_CONNECTED, REFUSED), REFUSED),
    ],
)
def test_the_root_of_the_api_shows_whether_this_is_cube(reply: Reply, expected: str | None) -> None:
    found = trouble_at_root(reply)
    assert expected in found if found and expected else found is expected


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (INSTANCE, None),
        (Answer(200, JSON, b"{}"), NOT_CUBE),
        (Answer(200, JSON, b'{"url":"http://echo/chrisinstance/1/"}'), NOT_CUBE),
        (PAGE, NOT_CUBE),
        (Answer(201, JSON, INSTANCE.body), NOT_CUBE),
        (Answer(404, "text/html", b""), NOT_CUBE),
        (Answer(403, "text/html", b""), NOT_CUBE),
        (Answer(401, JSON, b""), WRONG_ACCOUNT),
        (Answer(500, JSON, FAILED), DATABASE),
        (Answer(503, "text/html", b""), "CUBE is not up"),
        (NoAnswer(Fault.NO_TOKEN, WRONG_ACCOUNT), WRONG_ACCOUNT),
        (NoAnswer(Fault.NO_ANSWER), "no_answer"),
    ],
)
def test_only_cubes_description_of_itself_means_well(reply: Reply, expected: str | None) -> None:
    found = trouble(reply)
    assert expected in found if found and expected else found is expected


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Answer(400, JSON, b'{"path":["This field is required."]}'), None),
        (Answer(400, JSON, b'{"code":"blocked"}'), "not by CUBE"),
        (Answer(403, JSON, b'{"detail":"You do not have permission to perform this action."}'), WRONG_USER),
        (Answer(403, "text/html", b"<html>Blocked</html>"), "not by CUBE"),
        (Answer(201, JSON, b"{}"), "not by CUBE"),
        (PAGE, "not by CUBE"),
        (Answer(500, JSON, FAILED), DATABASE),
        (NoAnswer(Fault.NOT_CONNECTED, REFUSED), REFUSED),
    ],
)
def test_a_registration_without_fields_shows_whether_the_user_may_register(
    reply: Reply, expected: str | None
) -> None:
    found = trouble_registering(reply)
    assert expected in found if found and expected else found is expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(400, JSON, b'{"non_field_errors":["Unable to log in."]}'), WRONG_ACCOUNT),
        (Answer(400, "text/html", b"Bad Request (400)"), NOT_CUBE),
        (Answer(404, "text/html", b""), NOT_CUBE),
        (Answer(200, "text/html", b""), NOT_CUBE),
        (Answer(500, JSON, FAILED), DATABASE),
    ],
)
def test_only_cubes_own_refusal_of_a_token_blames_user_and_password(answer: Answer, expected: str) -> None:
    assert expected in trouble_with_token(answer)
