"""`lapidicom heal`: a series that CUBE 6 has registered with too few files, by half, or elsewhere."""

import os
import sys
from functools import partial
from typing import Annotated, Final

import typer

from lapidicom.cli.answers import HIDDEN, Answer, Display
from lapidicom.cli.cube import READ_SECONDS, cube_client
from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.cli.heal.find import find, marked_pacs
from lapidicom.cli.heal.hold import Hold
from lapidicom.cli.heal.in_cube import InCube
from lapidicom.cli.heal.plan import WHOLE, Seen, Stop, condition, next_step
from lapidicom.cli.heal.register import message_of
from lapidicom.cli.heal.run import AGAIN, Healing, HealingPatience
from lapidicom.cli.in_thread import of_volume
from lapidicom.cli.shell import Because, Shell, ShowPhi, Yes, command
from lapidicom.common.directory_cache import directory_cache_seconds
from lapidicom.common.instance.tags import is_uid

_UMASK: Final = 0o002
"""As receivers have it: CUBE and they share the volume by the group's rights."""


class Series(Answer):
    """A series, as it is on the volume and in CUBE."""

    SeriesInstanceUID: str
    pacs_name: Annotated[str, Display("PACS")]
    condition: str
    files: Annotated[int, Display("files on the volume")]
    in_cube: Annotated[int, Display("in CUBE")]
    cube: Annotated[str, Display("CUBE's version")]
    folder: str | None
    folder_in_cube: Annotated[str | None, Display("folder in CUBE")]
    obstacle: Annotated[str, HIDDEN]
    remedy: Annotated[str, Display("what to do")]

    def headline(self) -> list[str]:
        """How it is, and what would be done about it."""
        if self.condition == WHOLE:
            return ["CUBE has the whole series"]
        return [self.obstacle or f"{self.condition}: --fix registers it anew, with {self.files} files"]

    @classmethod
    def of(cls, healing: Healing, seen: Seen, stop: Stop | None, *, show_phi: bool) -> "Series":
        """What was seen; paths only with `show_phi`."""
        aim, hold, row = healing.aim, healing.hold, seen.row
        version = "v6" if row is None else "v6.10 or later" if row.deletion else "older than v6.10"
        return cls(
            SeriesInstanceUID=hold.uid,
            pacs_name=hold.pacs,
            condition=condition(seen, aim),
            files=seen.count,
            in_cube=seen.known if row is not None and row.folder != aim.folder else seen.registered,
            cube=version,
            folder=aim.folder if show_phi else None,
            folder_in_cube=row.folder if show_phi and row else None,
            obstacle=stop.why if stop else "",
            remedy=stop.remedy if stop else "",
        )


@command(
    "lapidicom heal 1.2.840.113619.2.55.3.604688119",
    "lapidicom heal 1.2.840.113619.2.55.3.604688119 --fix --because 'instances came late'",
)
async def heal(
    shell: Shell,
    series: Annotated[str, typer.Argument(metavar="SERIES", help="SeriesInstanceUID.")],
    fix: Annotated[bool, typer.Option("--fix", help="Heal it; else it is only looked at.")] = False,
    pacs: Annotated[str | None, typer.Option(help="PACS name, where several have sent it.")] = None,
    folder: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Register this folder instead of the one that CUBE has."),
    ] = None,
    wait_seconds: Annotated[float, typer.Option(min=0, help="How long to wait for CUBE.")] = 600.0,
    yes: Yes = False,
    because: Because = "",
    show_phi: ShowPhi = False,
) -> ExitStatus:
    """Let CUBE 6 have all files of a series that it has registered too early, by half, or elsewhere.

    CUBE adds no file to a series: it must delete it, with its folder, and register it anew. Meanwhile each
    file has a second name under the spool, and receivers refuse instances of this series. It may be killed at
    any moment: run it again. Without --fix nothing is changed.

    Exit status: 0 CUBE has the whole series; 1 it has not; 2 CUBE or the volume is not as it must be;
    3 another run heals this series.
    """
    settings = shell.settings
    if not is_uid(series):
        raise OperatorError(f"{series!r} is no SeriesInstanceUID", "give it as `lapidicom dlq show` does")
    if settings.cube is None or settings.files_root is None or settings.spool is None:
        what = "CUBE or the volume is not visible from here"
        raise OperatorError(what, "set CHRIS_URL, CHRIS_USERNAME, CHRIS_PASSWORD and CHRIS_FILES_ROOT")
    if fix and not yes and not sys.stdin.isatty():
        raise OperatorError("nobody can be asked: this is no terminal", "give --yes to heal without asking")
    os.umask(_UMASK)
    try:
        async with cube_client(settings.cube, READ_SECONDS) as client:
            cube = InCube(client, settings.cube.cube_url)
            await cube.check_generation()
            marked = await of_volume(partial(marked_pacs, settings.spool, series))
            name, aim = await find(cube, series, pacs, folder, marked)
            hold = Hold(settings.files_root, settings.spool, name, series)
            aim = await of_volume(hold.aim) or aim
            if aim is None:
                what = f"CUBE knows no folder of the series from {name}"
                raise OperatorError(what, "give --folder", ExitStatus.FAILED)
            cache = await of_volume(partial(directory_cache_seconds, hold.spool))
            tell, progress = shell.output.text, shell.output.progress
            healing = Healing(
                hold,
                aim,
                cube,
                HealingPatience(cache, most=wait_seconds),
                progress,
                lambda step: tell(step.value),
            )
            async with shell.seeing_patient_data(show_phi, because, f"{series} from {name}"):
                return await _heal(shell, healing, because, fix=fix, yes=yes, show_phi=show_phi)
    except OSError as error:
        what = f"the volume {settings.files_root}: {error.strerror or type(error).__name__}"
        raise OperatorError(what, f"run it where the volume may be written; {AGAIN}") from error


async def _heal(
    shell: Shell, healing: Healing, because: str, *, fix: bool, yes: bool, show_phi: bool
) -> ExitStatus:
    hold, aim = healing.hold, healing.aim
    seen = await healing.look()
    step = next_step(seen, aim)
    stop = step if isinstance(step, Stop) else None
    if stop is None and not seen.is_marked:
        await of_volume(partial(message_of, hold.root, aim.folder, hold.uid))
    is_wanted = fix and stop is None
    if not (is_wanted and shell.output.json):
        shell.output.show(Series.of(healing, seen, stop, show_phi=show_phi))
    if is_wanted and not yes:
        question = f"Let CUBE delete the series, and register it anew with {seen.count} files?"
        is_wanted = await shell.is_wanted(question)
    if is_wanted:
        async with shell.audited(because, f"{hold.uid} from {hold.pacs}", seen.count) as after:
            stop = await _run(shell, healing)
            seen = await healing.look()
            after |= {"condition": condition(seen, aim), "files": seen.count, "in_cube": seen.registered}
        shell.output.show(Series.of(healing, seen, stop, show_phi=show_phi))
    return ExitStatus.OK if stop is not None and not stop.why else ExitStatus.FAILED


async def _run(shell: Shell, healing: Healing) -> Stop:
    try:
        return await healing.run()
    except BaseException:
        if healing.has_begun:
            shell.output.warn(f"receivers refuse the series until it is healed; {AGAIN}")
        raise
