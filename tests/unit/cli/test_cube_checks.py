"""What CUBE answers, step by step: the first that fails names the cause, and nothing else is blamed."""

import asyncio
from dataclasses import dataclass
from typing import cast

import pytest
from pydantic import SecretStr

from lapidicom.cli.answers import NotVisible, Result
from lapidicom.cli.cube_checks import ask_cube
from lapidicom.common.settings import CubeSection
from lapidicom.registrar.cube.availability import DATABASE, NOT_CUBE, WRONG_ACCOUNT
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.generation import Generation, generation
from lapidicom.registrar.cube.replies import Answer, Fault, NoAnswer, Reply

JSON = "application/json"
STORED = "SERVICES/PACS/P/a/b/c/0001-1.2.dcm"
ROOT = Answer(200, JSON, b'{"collection_links":{"pacsfiles":"x"}}')
ROOT_OF_6 = Answer(200, JSON, b'{"collection_links":{"pacsfiles":"x","pacsseries":"y"}}')
WELL = Answer(200, JSON, b'{"url":"http://cube/api/v1/chrisinstance/1/","id":1,"uuid":"u","name":"n"}')
MISSING = Answer(400, JSON, b'{"PatientID":["This field is required."]}')
NO_FILE = b'{"PatientID":["This field is required."],"path":["Could not find this path."]}'


@dataclass
class FakeCube:
    """A CUBE that answers so."""

    root: Reply = ROOT
    probed: Reply = WELL
    refused: Reply = MISSING
    body: bytes = b""

    async def generation(self) -> tuple[Generation, Reply]:
        return generation(self.root), self.root

    async def probe(self) -> Reply:
        return self.probed

    async def register(self, body: bytes) -> Reply:
        self.body = body
        return self.refused

    async def register_series(self, body: bytes) -> Reply:
        assert self.root is ROOT_OF_6
        return await self.register(body)


def ask(
    cube: FakeCube, stored: str | NotVisible = STORED, user: str = "chris"
) -> list[tuple[str, Result, str]]:
    section = CubeSection(cube_url="http://cube/api/v1/", cube_username=user, cube_password=SecretStr("x"))
    checks = asyncio.run(ask_cube(cast(Cube, cube), section, stored))
    assert all(check.area == "CUBE" for check in checks)
    return [(check.name, check.result, f"{check.seen}: {check.remedy}") for check in checks]


def test_a_cube_that_is_well_passes_each_step_and_is_asked_for_a_file_of_ours() -> None:
    cube = FakeCube()
    assert [(name, result) for name, result, _ in ask(cube)] == [
        ("reachable", Result.PASS),
        ("generation", Result.PASS),
        ("login", Result.PASS),
        ("database", Result.PASS),
        ("right to register", Result.PASS),
        ("storage", Result.PASS),
    ]
    assert cube.body == b'{"path": "%s"}' % STORED.encode()


def test_without_a_file_of_ours_its_storage_is_not_visible() -> None:
    cube = FakeCube()
    assert ask(cube, NotVisible("none is stored"))[-1][:2] == ("storage", Result.NOT_VISIBLE)
    assert cube.body == b"{}"


def test_cube_6_is_asked_for_a_series_and_says_nothing_of_its_storage() -> None:
    *before, storage = ask(FakeCube(ROOT_OF_6))
    assert {result for _, result, _ in before} == {Result.PASS}
    assert storage[:2] == ("storage", Result.NOT_VISIBLE)


CASES: list[tuple[str, FakeCube, str, str]] = [
    ("away", FakeCube(root=NoAnswer(Fault.NOT_CONNECTED, "x")), "reachable", "that CUBE runs"),
    (
        "a wrong CHRIS_URL",
        FakeCube(Answer(404, "text/html", b""), NoAnswer(Fault.NO_TOKEN, NOT_CUBE)),
        "generation",
        "what answers at CHRIS_URL is not the root of CUBE's API",
    ),
    (
        "a proxy without CUBE behind it",
        FakeCube(Answer(502, "text/html", b"")),
        "generation",
        "a proxy before it",
    ),
    (
        "a wrong password",
        FakeCube(probed=NoAnswer(Fault.NO_TOKEN, WRONG_ACCOUNT)),
        "login",
        "check CHRIS_USERNAME and CHRIS_PASSWORD",
    ),
    (
        "a stopped database, before a token was given",
        FakeCube(probed=NoAnswer(Fault.NO_TOKEN, DATABASE)),
        "login",
        "whether its database runs",
    ),
    ("a token that is refused", FakeCube(probed=Answer(401, JSON, b"")), "login", "CHRIS_PASSWORD"),
    (
        "a stopped database",
        FakeCube(probed=Answer(500, JSON, b'{"error":"Internal server error"}')),
        "database",
        "whether its database runs",
    ),
    (
        "a wrong user",
        FakeCube(refused=Answer(403, JSON, b'{"detail":"no"}')),
        "right to register",
        "set CHRIS_USERNAME=chris",
    ),
    (
        "a firewall that stops each POST",
        FakeCube(refused=Answer(405, "text/html", b"")),
        "right to register",
        "what a proxy or firewall before CUBE does",
    ),
    (
        "a page in place of an answer",
        FakeCube(refused=Answer(200, "text/html", b"<html>")),
        "right to register",
        "what a proxy or firewall before CUBE does",
    ),
    (
        "a 400 that is not CUBE's",
        FakeCube(refused=Answer(400, JSON, b'{"message":"no"}')),
        "right to register",
        "but not by CUBE",
    ),
    ("a wrong storage", FakeCube(refused=Answer(400, JSON, NO_FILE)), "storage", "another storage"),
]


@pytest.mark.parametrize(
    ("cube", "step", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_the_first_step_that_fails_names_the_cause(cube: FakeCube, step: str, expected: str) -> None:
    *before, (name, result, text) = ask(cube)
    assert {one[1] for one in before} <= {Result.PASS}
    assert (name, result) == (step, Result.FAIL)
    assert expected in text
