"""Whether a dead letter's file is on the volume, as far as that can be seen from here."""

import posixpath
from enum import StrEnum
from functools import partial
from pathlib import Path

from lapidicom.cli.dead_letters.letter import DeadLetter
from lapidicom.cli.in_thread import of_volume
from lapidicom.registrar.cube.contract import PATH_PREFIX
from lapidicom.registrar.cube.outcomes import Sight
from lapidicom.registrar.cube.volume import look

LOOK_SECONDS = 5.0
"""For one file: an operator waits for it."""


class Seen(StrEnum):
    """What is known of the file."""

    THERE = "on the volume"
    ABSENT = "not on the volume"
    NO_PATH = "the message names no path below SERVICES/PACS"
    NO_FILE = "a message about a series, not about a file"
    INVISIBLE = "not visible from here"


async def sight_of(files_root: Path | None, letter: DeadLetter) -> Seen:
    """Look for the file.

    Args:
        files_root: this process's mount of CUBE's storage root; None if it has none.
        letter: with its path.
    """
    if letter.type == "SeriesReceived":
        return Seen.NO_FILE
    path = letter.path
    if not path.startswith(PATH_PREFIX) or posixpath.normpath(path) != path or "\0" in path:
        return Seen.NO_PATH
    if files_root is None:
        return Seen.INVISIBLE
    try:
        found = await of_volume(partial(look, files_root, path), seconds=LOOK_SECONDS)
    except TimeoutError:
        return Seen.INVISIBLE
    return {Sight.THERE: Seen.THERE, Sight.ABSENT: Seen.ABSENT}.get(found, Seen.INVISIBLE)
