"""Asks CUBE who it is and whether it is well: one open read, one token, one authenticated read."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from lapidicom.cli.status.snapshot import CubeLook
from lapidicom.cli.visibility import NotVisible
from lapidicom.common.settings import CubeSection
from lapidicom.registrar.cube.availability import trouble
from lapidicom.registrar.cube.client import Cube, Token
from lapidicom.registrar.cube.generation import Generation
from lapidicom.registrar.cube.http import http_client
from lapidicom.registrar.cube.replies import Answer, Reply

NO_CUBE: Final = NotVisible("CHRIS_URL, CHRIS_USERNAME and CHRIS_PASSWORD are not all set")

_CONNECT_SECONDS: Final = 3.0
_READ_SECONDS: Final = 5.0


@asynccontextmanager
async def cube_client(section: CubeSection) -> AsyncIterator[Cube]:
    """A client that keeps its token: the second look costs CUBE no password check."""
    url = section.cube_url if section.cube_url.endswith("/") else f"{section.cube_url}/"
    async with http_client(
        connect_seconds=_CONNECT_SECONDS,
        read_seconds=_READ_SECONDS,
        tls=ssl.create_default_context(),
        transport=None,
    ) as http:
        token = Token(http, url, section.cube_username, section.cube_password.get_secret_value())
        yield Cube(http, url, token)


async def look_at_cube(cube: Cube, url: str) -> CubeLook:
    """What CUBE says of itself; with CUBE away that is what is told."""
    generation, answered = await cube.generation()
    reachable = isinstance(answered, Answer)
    if not reachable:
        return CubeLook(url, False, generation.value, False, trouble(answered) or "")
    probed = await cube.probe()
    return CubeLook(
        url, True, generation.value, trouble(probed) is None, _trouble(generation, answered, probed)
    )


def _trouble(generation: Generation, answered: Reply, probed: Reply) -> str:
    match generation:
        case Generation.PER_SERIES:
            return "this is CUBE v6 or later; REGISTRATION_UNIT=instance is for CUBE up to v5"
        case Generation.UNKNOWN:
            return trouble(answered) or "CHRIS_URL is not the root of CUBE's API (it must end in /api/v1/)"
        case Generation.PER_FILE:
            return trouble(probed) or ""
