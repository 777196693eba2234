"""Asks CUBE, step by step, for all that a registration needs, and changes nothing: `status` and `doctor`.

What is wrong is said as the registrar says it in its log and its /readyz. The last question is a
registration with a path and nothing else. CUBE (v5.2) looks at the user's right first, and then at each
field by itself: it complains of a path that its storage lacks beside the fields that are missing, and a
request that lacks fields registers nothing.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Final

from lapidicom.cli.answers import Check, NotVisible, Result, checked
from lapidicom.cli.cube import cube_client
from lapidicom.cli.settings import CommandSettings
from lapidicom.cli.volume import seen_of_volume, stored_file
from lapidicom.common.settings import CubeSection
from lapidicom.registrar.cube.availability import (
    WRONG_ACCOUNT,
    trouble,
    trouble_at_root,
    trouble_registering,
)
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.contract import PATH_NOT_FOUND
from lapidicom.registrar.cube.generation import Generation
from lapidicom.registrar.cube.replies import Answer, Fault, NoAnswer

AREA: Final = "CUBE"
READ_SECONDS: Final = 5.0
_TO_DATABASE: Final = "see CUBE's log, and whether its database runs; messages wait meanwhile"


@asynccontextmanager
async def cube_of(settings: CommandSettings) -> AsyncIterator[Cube | None]:
    """A client of CUBE, where its address and account are set; it keeps its token."""
    if settings.cube is None:
        yield None
        return
    async with cube_client(settings.cube, READ_SECONDS) as cube:
        yield cube


async def check_cube(cube: Cube | None, settings: CommandSettings) -> list[Check]:
    """Ask `cube_of` these settings; also for a file of the volume: does it see the same one?"""
    if cube is None or settings.cube is None:
        unset = NotVisible("CHRIS_URL, CHRIS_USERNAME and CHRIS_PASSWORD are not all set")
        return [checked(AREA, "reachable", unset, remedy="set them as the registrar has them")]
    stored = await seen_of_volume(stored_file, settings.files_root, settings.spool)
    return await ask_cube(cube, settings.cube, stored)


async def ask_cube(cube: Cube, section: CubeSection, stored: str | NotVisible) -> list[Check]:
    """One check after the other, up to the first that fails; `stored` is a file of the volume here."""
    checks = []
    async with aclosing(_steps(cube, section, stored)) as steps:
        async for check in steps:
            checks.append(check)
            if check.result is not Result.PASS:
                break
    return checks


async def _steps(cube: Cube, section: CubeSection, stored: str | NotVisible) -> AsyncGenerator[Check, None]:
    url, user = section.cube_url, section.cube_username
    generation, root = await cube.generation()
    away = f"{url}: {trouble(root)}" if isinstance(root, NoAnswer) else ""
    yield checked(AREA, "reachable", away, url, "check CHRIS_URL and that CUBE runs; messages wait meanwhile")
    is_up = isinstance(root, Answer) and root.status < 500
    remedy = "check CHRIS_URL" if is_up else "see the log of CUBE, or of a proxy before it"
    yield checked(AREA, "generation", trouble_at_root(root) or "", generation.value, remedy)
    probed = await cube.probe()
    fault = trouble(probed) or ""
    is_no_login = isinstance(probed, NoAnswer) and probed.fault is Fault.NO_TOKEN
    refused_login = fault if is_no_login or fault == WRONG_ACCOUNT else ""
    remedy = "check CHRIS_USERNAME and CHRIS_PASSWORD" if fault == WRONG_ACCOUNT else _TO_DATABASE
    yield checked(AREA, "login", refused_login, f"login as {user!r}", remedy)
    yield checked(AREA, "database", fault, "its database answers", _TO_DATABASE)
    path = {} if isinstance(stored, NotVisible) else {"path": stored}
    is_v6 = generation is Generation.PER_SERIES
    register = cube.register_series if is_v6 else cube.register
    refused = await register(json.dumps(path).encode())
    remedy = "set CHRIS_USERNAME=chris; see what a proxy or firewall before CUBE does with a POST"
    yield checked(
        AREA, "right to register", trouble_registering(refused) or "", f"{user!r} may register", remedy
    )
    is_lost = isinstance(refused, Answer) and PATH_NOT_FOUND in (refused.fields.get("path") or ())
    elsewhere = "CUBE does not find a file that is on the volume here: it looks at another storage"
    unseen = stored if isinstance(stored, NotVisible) else elsewhere if is_lost else ""
    unseen = NotVisible("CUBE v6 looks at its storage for whole requests only") if is_v6 else unseen
    well = "it finds a file that is on the volume here"
    yield checked(AREA, "storage", unseen, well, "let CUBE mount the volume that receivers write to")
