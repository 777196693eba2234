"""Reads all journals of a spool, in a thread and with a progress bar."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from lapidicom.cli.in_thread import Pulse, of_volume
from lapidicom.cli.output import Output
from lapidicom.common.journal.survey import Survey

T = TypeVar("T")


async def read_journals(output: Output, spool: Path, read: Callable[[Survey], T]) -> T:
    """What a function makes of all journals.

    Raises:
        OSError: they cannot be read, or the volume does not answer.
    """
    pulse = Pulse()
    with output.progress("reading journals", await of_volume(Survey(spool).size)) as advance:

        def advanced(count: int) -> None:
            pulse.beat()
            advance(count)

        return await of_volume(partial(read, Survey(spool, advanced)), pulse)
