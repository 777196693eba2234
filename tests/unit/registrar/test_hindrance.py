"""Which CUBE is it, and what keeps a registrar from registering there?"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from lapidicom.registrar.cube.availability import DATABASE
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.generation import Generation
from lapidicom.registrar.cube.http import HttpClient
from lapidicom.registrar.cube.probe import hindrance
from lapidicom.registrar.cube.token import TokenAuth
from tests.support.cube.accounts import USERS
from tests.support.cube.app import StandInCube
from tests.support.cube.request import API

URL = f"http://localhost{API}"


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., tuple[Generation, str | None]]:
    def ask(generation: int, unit: str, *, database_down: bool = False) -> tuple[Generation, str | None]:
        app = StandInCube(tmp_path, generation=generation)
        app.faults.database_down = database_down

        async def asking() -> tuple[Generation, str | None]:
            transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
            async with HttpClient(transport, connect_seconds=5, seconds=5) as http:
                return await hindrance(Cube(http, URL, TokenAuth(URL, "chris", USERS["chris"])), unit)

        return asyncio.run(asking())

    return ask


@pytest.mark.parametrize(
    ("generation", "unit", "found"),
    [
        (5, "auto", Generation.PER_FILE),
        (5, "instance", Generation.PER_FILE),
        (6, "auto", Generation.PER_SERIES),
        (6, "series", Generation.PER_SERIES),
    ],
)
def test_a_cube_that_is_well_and_meant_hinders_nothing(
    ask: Callable[..., object], generation: int, unit: str, found: Generation
) -> None:
    assert ask(generation, unit) == (found, None)


@pytest.mark.parametrize(("generation", "unit"), [(5, "series"), (6, "instance")])
def test_a_cube_that_is_not_meant_is_told_with_the_setting(
    ask: Callable[..., tuple[Generation, str | None]], generation: int, unit: str
) -> None:
    assert f"REGISTRATION_UNIT={unit} is for" in (ask(generation, unit)[1] or "")


@pytest.mark.parametrize("generation", [5, 6])
def test_a_cube_without_its_database_is_an_outage(
    ask: Callable[..., tuple[Generation, str | None]], generation: int
) -> None:
    assert ask(generation, "auto", database_down=True)[1] == DATABASE
