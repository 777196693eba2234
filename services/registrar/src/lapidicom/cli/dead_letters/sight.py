"""Whether a dead letter's file is on the volume, as far as that can be seen from here."""

import posixpath
from enum import StrEnum
from pathlib import Path
from threading import Thread

from lapidicom.cli.dead_letters.letter import DeadLetter
from lapidicom.registrar.cube.contract import PATH_PREFIX
from lapidicom.registrar.cube.outcomes import Sight
from lapidicom.registrar.cube.volume import look

LOOK_SECONDS = 5.0
"""After which a volume that does not answer counts as gone."""


class Seen(StrEnum):
    """What is known of the file."""

    THERE = "on the volume"
    ABSENT = "not on the volume"
    NO_PATH = "the message names no path below SERVICES/PACS"
    NO_FILE = "a message about a series, not about a file"
    INVISIBLE = "not visible from here"


def sight_of(files_root: Path | None, letter: DeadLetter) -> Seen:
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
    answers: list[Sight] = []
    # A thread that nobody waits for at the end: a volume that hangs must not hang the command.
    looking = Thread(target=lambda: answers.append(look(files_root, path)), daemon=True)
    looking.start()
    looking.join(LOOK_SECONDS)
    match answers:
        case [Sight.THERE]:
            return Seen.THERE
        case [Sight.ABSENT]:
            return Seen.ABSENT
        case _:
            return Seen.INVISIBLE
