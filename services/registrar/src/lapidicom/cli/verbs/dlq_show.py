"""`lapidicom dlq show`: one dead letter, with all that is known of it. Nothing is changed."""

import posixpath
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from lapidicom.cli.answers import NUMBER
from lapidicom.cli.causes import cause_of, remedy
from lapidicom.cli.dead_letters import look
from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.cli.in_thread import of_volume
from lapidicom.cli.letter import DeadLetter, is_named, short_id
from lapidicom.cli.letter_row import Row
from lapidicom.cli.masking import known_answer, known_word, masked_fields, masked_headers
from lapidicom.cli.shell import Because, Shell, ShowPhi, command
from lapidicom.common.open_series import count_files
from lapidicom.registrar.cube.contract import PATH_PREFIX
from lapidicom.registrar.cube.outcomes import Sight
from lapidicom.registrar.cube.volume import look as look_at_file

LOOK_SECONDS: Final = 5.0
"""For one file: an operator waits for it."""


class Shown(Row):
    """One dead letter."""

    meaning: str
    remedy: str
    runbook: str
    copies: Annotated[int, NUMBER]
    file: str
    message_id: str
    version: int
    answer: str | None
    message: dict[str, Any]
    headers: dict[str, Any]


@command("lapidicom dlq show 0b3f62c1.17", "lapidicom dlq show 0b3f62c1.17 --show-phi")
async def show(
    shell: Shell,
    letter_id: Annotated[
        str, typer.Argument(metavar="ID", help="Its id; a beginning will do, of `life.17` that of the life.")
    ],
    show_phi: ShowPhi = False,
    because: Because = "",
) -> None:
    """Show one dead letter: its history, CUBE's answer, whether its file is there, and what to do.

    Patient data is masked unless --show-phi is given.
    """
    async with shell.seeing_patient_data(show_phi, because, letter_id):
        letter, copies = await _find(shell, letter_id)
        file = await _sight(shell.settings.files_root, letter)
    cause, shown = cause_of(letter.reason), known_answer(letter.answer)
    message, headers = masked_fields(letter.fields), masked_headers(letter.headers)
    if show_phi:
        shown, message, headers = letter.answer, dict(letter.fields), dict(letter.headers)
    more = {
        "meaning": cause.meaning,
        "remedy": remedy(letter.reason, short_id(letter.id)),
        "runbook": cause.section,
        "copies": copies,
        "file": file,
        "message_id": known_word(letter.message_id),
        "version": letter.version,
        "answer": shown or None,
        "message": message,
        "headers": {name: _text(value) for name, value in headers.items()},
    }
    shell.output.show(Shown.of(letter, show_phi=show_phi, **more))


async def _find(shell: Shell, wanted: str) -> tuple[DeadLetter, int]:
    """The letter that is meant, and how many copies of it there are (delivery is at least once).

    Raises:
        OperatorError: there is none, or several are meant.
    """
    found: dict[str, DeadLetter] = {}
    copies = 0
    async with shell.connection() as link, look(link) as letters:
        async for letter, _ in letters:
            if wanted and is_named(letter.id, wanted):
                found.setdefault(letter.id, letter)
                copies += 1
    match list(found.values()):
        case [only]:
            return only, copies
        case []:
            remedy = "`lapidicom dlq list` shows which there are"
            raise OperatorError(f"no dead letter {wanted!r}", remedy, ExitStatus.FAILED)
        case _:
            remedy = f"give more of the id, such as {', '.join(list(found)[:3])}"
            raise OperatorError(f"{len(found)} dead letters begin with {wanted!r}", remedy, ExitStatus.FAILED)


async def _sight(files_root: Path | None, letter: DeadLetter) -> str:
    """Whether the file is on this process's mount of CUBE's storage root, as far as that can be seen.

    Of a series: how many files are in its folder.
    """
    path = letter.path
    if not path.startswith(PATH_PREFIX) or posixpath.normpath(path) != path or "\0" in path:
        return f"the message names no path below {PATH_PREFIX.rstrip('/')}"
    seen = "not visible from here"
    if files_root is not None:
        with suppress(OSError):
            if letter.is_of_series:
                files = await of_volume(partial(count_files, files_root / path), seconds=LOOK_SECONDS)
                return f"{files} files of the series are on the volume"
            found = await of_volume(partial(look_at_file, files_root, path), seconds=LOOK_SECONDS)
            seen = {Sight.THERE: "on the volume", Sight.ABSENT: "not on the volume"}.get(found, seen)
    return seen


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
