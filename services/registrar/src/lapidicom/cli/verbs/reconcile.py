"""`lapidicom reconcile`."""

import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from lapidicom.cli.cube import catalogue
from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.cli.filters import Since
from lapidicom.cli.in_thread import of_volume
from lapidicom.cli.reconcile.enqueueing import Enqueueing
from lapidicom.cli.reconcile.findings import Findings
from lapidicom.cli.reconcile.report import document, tell
from lapidicom.cli.reconcile.resume import StateFile
from lapidicom.cli.reconcile.run import Places, Run, Wishes
from lapidicom.cli.shell import Shell, command
from lapidicom.cli.times import parse_rate, parse_time
from lapidicom.common.file_system import FileSystem
from lapidicom.common.instance.path import PACS_ROOT
from lapidicom.common.journal.reader import has_journals
from lapidicom.common.settings import CubeSection


@command(
    "lapidicom reconcile --dry-run",
    "lapidicom reconcile --since 2d --pacs MY_PACS",
    "lapidicom reconcile --yes --rate 5/s --state reconcile.json --because 'queue purged'",
)
def reconcile(
    shell: Shell,
    since: Since = None,
    pacs: Annotated[
        str | None, typer.Option(help="Only of this PACS: its folder below SERVICES/PACS.")
    ] = None,
    older_than: Annotated[
        datetime,
        typer.Option(
            parser=parse_time, metavar="TIME", help="Leave alone what is younger: it may be on its way."
        ),
    ] = "5m",  # type: ignore[assignment]
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is missing; do nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Enqueue without asking, up to --at-most.")] = False,
    at_most: Annotated[
        int,
        typer.Option(
            min=1,
            help="Registrations that --yes enqueues: if more are lost, is it the right CUBE and volume?",
        ),
    ] = 1000,
    rate: Annotated[
        float, typer.Option(parser=parse_rate, metavar="RATE", help="Questions to CUBE a second, at most.")
    ] = 20.0,
    even_if_waiting: Annotated[
        bool,
        typer.Option(
            "--even-if-waiting", help="Enqueue although messages wait in RabbitMQ that may be the same ones."
        ),
    ] = False,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for a moment in which no message waits.")
    ] = 5.0,
    without_journals: Annotated[
        bool, typer.Option("--without-journals", help="Go on where no journals can be seen.")
    ] = False,
    state: Annotated[
        Path | None,
        typer.Option(help="Keep in this file how far it is; with a file that exists, go on from there."),
    ] = None,
    why: Annotated[str, typer.Option("--because", help="Why; goes into the audit.")] = "",
    limit: Annotated[int, typer.Option(min=0, help="Files of each kind to show; 0: up to 1000.")] = 20,
    show_phi: Annotated[
        bool, typer.Option("--show-phi", help="Show paths in full: they hold patient data.")
    ] = False,
) -> ExitStatus:
    """Find what is on the volume, in the journals and in CUBE, and enqueue registrations that were lost.

    What waits, is not relayed yet or is a dead letter is told and left alone. Nothing is taken from any
    queue; a message too many ends in one registration all the same. It can be ended at any time and begun
    again.

    Exit status: 0 nothing is missing, or what was lost is enqueued; 1 something is missing still;
    2 volume, journals, CUBE or RabbitMQ are not visible, or CUBE registers series (v6).
    """
    now = datetime.now(UTC)
    begin = since
    if begin is not None and begin > now:
        raise OperatorError(
            f"--since {since!r} lies in the future", "nothing was received since", ExitStatus.UNUSABLE
        )
    wishes = Wishes(
        pacs=pacs,
        since=begin,
        settled_before=older_than,
        dry_run=dry_run,
        even_if_waiting=even_if_waiting,
        wait_seconds=wait,
    )
    _check_pacs(pacs)
    if not (dry_run or yes or sys.stdin.isatty()):
        raise OperatorError("nobody can be asked here", "give --yes, or --dry-run", ExitStatus.UNUSABLE)
    try:
        section, root, spool = shell.run(_places(shell, without_journals=without_journals))
    except OSError as error:
        raise _volume_fails(error, shell.settings.files_root) from error
    scope = {
        "root": str(root),
        "cube": section.cube_url,
        "pacs": pacs or "",
        "since": since.isoformat() if since else "",
    }
    kept = StateFile(None if dry_run else state, scope)
    run = f"{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"

    def may_enqueue(found: "Findings", count: int) -> bool:
        known = f"CUBE has {found.registered} of the {found.files} instances looked at so far"
        if not yes:
            return typer.confirm(f"{known}. Enqueue {count} registrations?", err=True)
        if found.enqueued + count <= at_most:
            return True
        shell.output.warn(
            f"{count} registrations are lost, {found.enqueued} were enqueued before: more than --at-most "
            f"{at_most}, so that no more are enqueued. {known}: if this is the right CUBE and the right "
            "volume, give a higher --at-most"
        )
        return False

    findings = shell.run(_run(shell, wishes, kept, section, root, spool, rate, run, why, may_enqueue))
    if shell.output.json:
        shell.output.document(document(findings, run=run, dry_run=dry_run, limit=limit, show_phi=show_phi))
    else:
        tell(shell.output, findings, dry_run=dry_run, limit=limit, show_phi=show_phi)
    return ExitStatus.OK if findings.is_sound else ExitStatus.FAILED


async def _run(
    shell: Shell,
    wishes: "Wishes",
    state: "StateFile",
    section: "CubeSection",
    root: Path,
    spool: Path | None,
    per_second: float,
    run: str,
    why: str,
    may_enqueue: "Callable[[Findings, int], bool]",
) -> "Findings":
    settings = shell.settings
    told = f"--pacs {wishes.pacs} --since {wishes.since}"
    async with catalogue(section, per_second) as cube:
        await cube.check_generation()
        places = Places(root, spool, cube, shell.connection, (*settings.retry_delays, settings.park_delay))
        enqueueing = Enqueueing(
            shell.publishing, lambda count: shell.audited(why, f"run {run} {told}", count), run
        )
        work = Run(places, wishes, state, enqueueing, may_enqueue, shell.output.progress)
        try:
            return await work.run()
        except BaseException as error:
            if work.findings.enqueued:
                done = f"run {run} had enqueued {work.findings.enqueued} registrations"
                shell.output.warn(f"{done}; another run finds the rest")
            if isinstance(error, OSError):
                raise _volume_fails(error, root) from error
            raise


def _volume_fails(error: OSError, root: Path | None) -> OperatorError:
    return OperatorError(
        f"the volume {root} cannot be read: {error.strerror or type(error).__name__}",
        "check its mount and CHRIS_FILES_ROOT; then run it again",
        ExitStatus.UNUSABLE,
    )


async def _places(shell: Shell, *, without_journals: bool) -> "tuple[CubeSection, Path, Path | None]":
    settings = shell.settings
    section, root, spool = settings.cube, settings.files_root, settings.spool
    if section is None:
        raise OperatorError(
            "CUBE is not visible from here",
            "set CHRIS_URL, CHRIS_USERNAME and CHRIS_PASSWORD",
            ExitStatus.UNUSABLE,
        )
    if root is None or not await of_volume((root / PACS_ROOT).is_dir):
        raise OperatorError(
            "the volume is not visible from here"
            if root is None
            else f"there is no {PACS_ROOT} below {root}",
            "set CHRIS_FILES_ROOT to CUBE's storage root as it is mounted here",
            ExitStatus.UNUSABLE,
        )
    if spool is None or not await of_volume(lambda: has_journals(FileSystem(), str(spool))):
        if not without_journals:
            raise OperatorError(
                f"there are no journals below {spool}",
                "set CHRIS_SPOOL_DIR; or --without-journals, where what is not relayed yet seems lost",
                ExitStatus.UNUSABLE,
            )
        spool = None
    return section, root, spool


def _check_pacs(name: str | None) -> None:
    if name is not None and (not name.strip(".") or "/" in name):
        raise OperatorError(
            f"--pacs {name!r} is no name of a folder", "give it as it stands in paths", ExitStatus.UNUSABLE
        )
