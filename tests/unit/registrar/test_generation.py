import json

import pytest

from lapidicom.registrar.cube.generation import Generation, generation
from lapidicom.registrar.cube.replies import Answer, Fault, NoAnswer, Reply


def root(*links: str) -> Answer:
    body = {"collection_links": {link: f"http://cube/api/v1/{link}/" for link in links}}
    return Answer(200, "application/json", json.dumps(body).encode())


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (root("files", "pacsfiles", "servicefiles"), Generation.PER_FILE),
        (root("pacsfiles", "pacsseries", "userfiles"), Generation.PER_SERIES),
        (root("pacsseries"), Generation.PER_SERIES),
        (root("plugins"), Generation.UNKNOWN),
        (Answer(200, "text/html", b"<html>"), Generation.UNKNOWN),
        (Answer(200, "application/json", b"[]"), Generation.UNKNOWN),
        (Answer(200, "application/json", b'{"collection_links":[]}'), Generation.UNKNOWN),
        (Answer(500, "application/json", b"{}"), Generation.UNKNOWN),
        (NoAnswer(Fault.NOT_CONNECTED), Generation.UNKNOWN),
    ],
)
def test_the_links_at_the_root_tell_the_generation(reply: Reply, expected: Generation) -> None:
    assert generation(reply) is expected
