"""Checks of CUBE: generation, token, right to register. Nothing is registered."""

from typing import Final, Literal

from lapidicom.cli.doctor.check import Check, failed, passed, unseen
from lapidicom.registrar.cube.availability import trouble
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.generation import Generation
from lapidicom.registrar.cube.replies import Answer, Reply

AREA: Final = "CUBE"
_NO_FIELDS: Final = b"{}"
"""A registration that CUBE must refuse for its form; before that it looks at the right."""


async def check_cube(cube: Cube, url: str, unit: Literal["instance"]) -> list[Check]:
    """All checks of CUBE.

    Args:
        cube: the client.
        url: CHRIS_URL.
        unit: REGISTRATION_UNIT.
    """
    generation, answered = await cube.generation()
    if not isinstance(answered, Answer):
        return [
            failed(AREA, "reachable", f"{url}: {trouble(answered)}", "check CHRIS_URL and that CUBE runs")
        ]
    checks = [passed(AREA, "reachable", url), check_generation(generation, unit)]
    if generation is not Generation.PER_FILE:
        return checks
    probed = await cube.probe()
    checks.append(check_token(probed))
    if trouble(probed) is None:
        checks.append(check_right(await cube.register(_NO_FIELDS)))
    return checks


def check_generation(generation: Generation, unit: Literal["instance"]) -> Check:
    """Whether CUBE registers what REGISTRATION_UNIT says."""
    name = "generation"
    match generation:
        case Generation.PER_FILE:
            return passed(AREA, name, f"{generation.value}, REGISTRATION_UNIT={unit}")
        case Generation.PER_SERIES:
            told = f"{generation.value}, REGISTRATION_UNIT={unit}"
            return failed(AREA, name, told, f"REGISTRATION_UNIT={unit} needs a CUBE up to v5")
        case Generation.UNKNOWN:
            return failed(AREA, name, "not CUBE's API", "CHRIS_URL must be its root, ending in /api/v1/")


def check_token(probed: Reply) -> Check:
    """Whether CUBE gives and takes a token, and its database answers."""
    told = trouble(probed)
    if told is None:
        return passed(AREA, "token", "given and accepted, the database answers")
    remedy = "check CHRIS_USERNAME and CHRIS_PASSWORD; if CUBE answers 500, its database"
    return failed(AREA, "token", told, remedy)


def check_right(refused: Reply) -> Check:
    """Whether the user may register, by how CUBE refuses a registration without fields."""
    name = "right to register"
    match refused:
        case Answer(status=400, media_type="application/json"):
            return passed(AREA, name, "CUBE's user may")
        case Answer(status=403):
            return failed(
                AREA, name, "refused", "CHRIS_USERNAME must be `chris`: CUBE lets nobody else register"
            )
        case Answer(status=status):
            return unseen(AREA, name, f"CUBE answers {status} to an empty registration")
        case _:
            return unseen(AREA, name, trouble(refused) or "")
