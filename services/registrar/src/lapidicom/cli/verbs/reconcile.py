"""`lapidicom reconcile`: is everything there? What was lost is enqueued."""

import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from lapidicom.cli.cube import catalogue
from lapidicom.cli.cube_checks import NO_CUBE
from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.cli.filters import Since
from lapidicom.cli.in_thread import of_volume
from lapidicom.cli.reconcile.enqueueing import Enqueueing
from lapidicom.cli.reconcile.findings import Findings
from lapidicom.cli.reconcile.report import reconciled
from lapidicom.cli.reconcile.resume import State, StateFile
from lapidicom.cli.reconcile.run import Options, Run, Sources
from lapidicom.cli.shell import Because, DryRun, Limit, Shell, ShowPhi, Yes, command, run_id
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
    dry_run: DryRun = False,
    yes: Yes = False,
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
    because: Because = "",
    limit: Limit = None,
    show_phi: ShowPhi = False,
) -> ExitStatus:
    """Find what is on the volume, in the journals and in CUBE, and enqueue registrations that were lost.

    What waits, is not relayed yet or is a dead letter is shown and left alone. Nothing is taken from any
    queue; a message too many ends in one registration all the same. It can be ended at any time and begun
    again.

    Exit status: 0 nothing is missing, or what was lost is enqueued; 1 something is missing still;
    2 volume, journals, CUBE or RabbitMQ are not visible, or CUBE registers series (v6).
    """
    if since is not None and since > datetime.now(UTC):
        raise OperatorError(f"--since {since:%Y-%m-%d} lies in the future", "nothing was received since")
    if pacs is not None and (not pacs.strip(".") or "/" in pacs):
        raise OperatorError(f"--pacs {pacs!r} is no name of a folder", "give it as it stands in paths")
    if not (dry_run or yes or sys.stdin.isatty()):
        raise OperatorError("nobody can be asked here", "give --yes, or --dry-run")
    options = Options(
        pacs=pacs,
        since=since,
        settled_before=older_than,
        dry_run=dry_run,
        even_if_waiting=even_if_waiting,
        wait_seconds=wait,
    )

    def may_enqueue(found: Findings, count: int) -> bool:
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

    run = run_id()
    start = partial(_run, shell, options, state, rate, run, because, may_enqueue)
    findings = shell.run(start(without_journals=without_journals, show_phi=show_phi))
    rows = shell.rows(limit)
    shell.output.show(reconciled(findings, run=run, dry_run=dry_run, limit=rows, show_phi=show_phi))
    return ExitStatus.OK if findings.is_sound else ExitStatus.FAILED


async def _run(
    shell: Shell,
    options: Options,
    state: Path | None,
    per_second: float,
    run: str,
    because: str,
    may_enqueue: Callable[[Findings, int], bool],
    *,
    without_journals: bool,
    show_phi: bool,
) -> Findings:
    settings = shell.settings
    what = f"run {run} --pacs {options.pacs} --since {options.since}"
    work: Run | None = None
    try:
        section, root, spool = await _places(shell, without_journals=without_journals)
        scope = {"root": str(root), "cube": section.cube_url, "pacs": options.pacs or ""}
        kept = StateFile(None if options.dry_run else state, State(scope=scope, since=options.since))
        options = replace(options, since=kept.state.since)
        async with (
            shell.seeing_patient_data(show_phi, because, what),
            catalogue(section, per_second) as cube,
        ):
            await cube.check_generation()
            sources = Sources(
                root, spool, cube, shell.connection, (*settings.retry_delays, settings.park_delay)
            )
            audited = partial(shell.audited, because, what)
            enqueueing = Enqueueing(shell.publishing, audited, run)
            work = Run(sources, options, kept, enqueueing, may_enqueue, shell.output.progress)
            return await work.run()
    except BaseException as error:
        if work is not None and work.findings.enqueued:
            done = f"run {run} had enqueued {work.findings.enqueued} registrations"
            shell.output.warn(f"{done}; another run finds the rest")
        if isinstance(error, OSError):
            raise OperatorError(
                f"the volume {settings.files_root} cannot be read: {error.strerror or type(error).__name__}",
                "check its mount and CHRIS_FILES_ROOT; then run it again",
            ) from error
        raise


async def _places(shell: Shell, *, without_journals: bool) -> tuple[CubeSection, Path, Path | None]:
    settings = shell.settings
    section, root, spool = settings.cube, settings.files_root, settings.spool
    if section is None:
        raise OperatorError("CUBE is not visible from here", NO_CUBE.reason)
    if root is None or not await of_volume((root / PACS_ROOT).is_dir):
        what = (
            "the volume is not visible from here" if root is None else f"there is no {PACS_ROOT} below {root}"
        )
        raise OperatorError(what, "set CHRIS_FILES_ROOT to CUBE's storage root as it is mounted here")
    if spool is None or not await of_volume(lambda: has_journals(FileSystem(), str(spool))):
        if not without_journals:
            remedy = "set CHRIS_SPOOL_DIR; or --without-journals, where what is not relayed yet seems lost"
            raise OperatorError(f"there are no journals below {spool}", remedy)
        spool = None
    return section, root, spool
