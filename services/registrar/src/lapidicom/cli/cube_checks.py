"""Asks CUBE, step by step, for all that a registration needs, and changes nothing: `status` and `doctor`.

The last question is a registration with a path and nothing else. CUBE (v5.2) looks at the user's right
first, and then at each field by itself: it complains of a path that its storage lacks beside the fields
that are missing, and a request that lacks fields registers nothing.
"""

import json
from typing import Any, Final

from lapidicom.cli.check import Check, Result, failed, passed, unseen
from lapidicom.cli.errors import NotVisible
from lapidicom.common.settings import CubeSection
from lapidicom.registrar.cube.availability import WRONG_ACCOUNT, trouble
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.contract import PATH_NOT_FOUND
from lapidicom.registrar.cube.generation import Generation
from lapidicom.registrar.cube.replies import Answer, Fault, NoAnswer, Reply

NO_CUBE: Final = NotVisible("CHRIS_URL, CHRIS_USERNAME and CHRIS_PASSWORD are not all set")
AREA: Final = "CUBE"

REACHABLE: Final = "reachable"
GENERATION: Final = "generation"
LOGIN: Final = "login"
DATABASE: Final = "database"
RIGHT: Final = "right to register"
STORAGE: Final = "storage"

READ_SECONDS: Final = 5.0
_NAME: Final = "chris"
_REQUIRED: Final = "PatientID"
"""A field that CUBE misses in the last question: so it is CUBE that answers."""


async def ask_cube(cube: Cube, section: CubeSection, unit: str, stored: str | NotVisible) -> list[Check]:
    """One check after the other, up to the first that fails.

    Args:
        cube: the client.
        section: address and user, for the texts of checks.
        unit: REGISTRATION_UNIT.
        stored: path of a file that is on our mount of the volume.
    """
    generation, answered = await cube.generation()
    checks = [_reachable(section.cube_url, answered)]
    if checks[-1].result is Result.PASS:
        checks.append(_generation(section.cube_url, generation, answered, unit))
    if checks[-1].result is not Result.PASS:
        return checks
    probed = await cube.probe()
    checks.append(_login(section.cube_username, probed))
    if checks[-1].result is Result.PASS:
        checks.append(_database(probed))
    if checks[-1].result is Result.PASS:
        path = {} if isinstance(stored, NotVisible) else {"path": stored}
        refused = await cube.register(json.dumps(path).encode())
        checks.append(_right(section.cube_username, refused))
        if checks[-1].result is Result.PASS:
            checks.append(_storage(refused, stored))
    return checks


def _reachable(url: str, answered: Reply) -> Check:
    if isinstance(answered, Answer):
        return passed(AREA, REACHABLE, url)
    seen = f"{url}: {trouble(answered)}"
    return failed(AREA, REACHABLE, seen, "check CHRIS_URL and that CUBE runs; messages wait meanwhile")


def _generation(url: str, generation: Generation, answered: Reply, unit: str) -> Check:
    match generation:
        case Generation.PER_FILE:
            return passed(AREA, GENERATION, generation.value)
        case Generation.PER_SERIES:
            remedy = f"REGISTRATION_UNIT={unit} is for CUBE up to v5"
            return failed(AREA, GENERATION, generation.value, remedy)
        case Generation.UNKNOWN:
            status = answered.status if isinstance(answered, Answer) else 0
            if status >= 500:
                seen, remedy = f"{url} answers {status}", "see the log of CUBE, or of a proxy before it"
            else:
                seen = f"what answers at {url} ({status}) is not CUBE's API"
                remedy = "CHRIS_URL must be the root of CUBE's API, ending in /api/v1/"
            return failed(AREA, GENERATION, seen, remedy)


def _login(user: str, probed: Reply) -> Check:
    match probed:
        case NoAnswer(fault=Fault.NO_TOKEN, detail=detail) if detail == WRONG_ACCOUNT:
            seen = f"CUBE gives {user!r} no token"
            return failed(AREA, LOGIN, seen, "check CHRIS_USERNAME and CHRIS_PASSWORD")
        case NoAnswer(fault=Fault.NO_TOKEN, detail=detail):
            seen = f"CUBE runs, and cannot look up its users: {detail}"
            return failed(AREA, LOGIN, seen, "see whether CUBE's database runs; messages wait meanwhile")
        case Answer(status=401):
            seen = f"CUBE refuses the token that it gave to {user!r}"
            return failed(AREA, LOGIN, seen, "check CHRIS_USERNAME and CHRIS_PASSWORD")
        case _:
            return passed(AREA, LOGIN, f"as {user!r}")


def _database(probed: Reply) -> Check:
    seen = trouble(probed)
    if seen is None:
        return passed(AREA, DATABASE, "answers")
    remedy = "see CUBE's log, and whether its database runs; messages wait meanwhile"
    return failed(AREA, DATABASE, f"an authenticated read fails: {seen}", remedy)


def _right(user: str, refused: Reply) -> Check:
    match refused:
        case Answer(status=403):
            remedy = f"CHRIS_USERNAME must be `{_NAME}`: CUBE lets nobody else register"
            return failed(AREA, RIGHT, f"CUBE does not let {user!r} register", remedy)
        case Answer(status=400) if _REQUIRED in _fields(refused):
            return passed(AREA, RIGHT, f"{user!r} may")
        case Answer(status=status, media_type=media_type):
            seen = f"an empty registration is answered {status} ({media_type or 'no type'}), not as CUBE does"
        case NoAnswer():
            seen = f"an empty registration is not answered: {trouble(refused)}"
    return failed(AREA, RIGHT, seen, "see what a proxy or firewall before CUBE does with a POST")


def _storage(refused: Reply, stored: str | NotVisible) -> Check:
    if isinstance(stored, NotVisible):
        return unseen(AREA, STORAGE, stored.reason)
    if PATH_NOT_FOUND in _fields(refused).get("path", ()):
        seen = "CUBE does not find a file that is on the volume here: it looks at another storage"
        return failed(AREA, STORAGE, seen, "let CUBE mount the volume that receivers write to")
    return passed(AREA, STORAGE, "CUBE finds a file that is on the volume here")


def _fields(answer: Reply) -> dict[str, Any]:
    try:
        fields = json.loads(answer.body) if isinstance(answer, Answer) else None
    except ValueError:
        fields = None
    return fields if isinstance(fields, dict) else {}
