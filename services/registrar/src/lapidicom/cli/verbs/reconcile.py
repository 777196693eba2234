"""`lapidicom reconcile`: is everything there? What was lost is enqueued."""

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from lapidicom.cli.cube import catalogue
from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.cli.in_thread import of_volume
from lapidicom.cli.reconcile.findings import MOST_SHOWN, Findings
from lapidicom.cli.reconcile.resume import State, read_state
from lapidicom.cli.reconcile.run import Options, Run
from lapidicom.cli.shell import Limit, Shell, ShowPhi, command, run_id
from lapidicom.common.file_system import FileSystem
from lapidicom.common.instance.path import PACS_ROOT
from lapidicom.common.journal.reader import has_journals


@command(
    "lapidicom reconcile --dry-run",
    "lapidicom reconcile --since 2d --pacs MY_PACS",
    "lapidicom reconcile --yes --rate 5/s --state reconcile.json --because 'queue purged'",
)
async def reconcile(
    shell: Shell, options: Options, limit: Limit = None, show_phi: ShowPhi = False
) -> ExitStatus:
    """Find what is on the volume, in the journals and in CUBE, and enqueue registrations that were lost.

    What waits, is not relayed yet or is a dead letter is shown and left alone. Nothing is taken from any
    queue; a message too many ends in one registration all the same. It can be ended at any time and begun
    again.

    Exit status: 0 nothing is missing, or what was lost is enqueued; 1 something is missing still;
    2 volume, journals, CUBE or RabbitMQ are not visible.
    """
    since = options.since
    if since is not None and since > datetime.now(UTC):
        raise OperatorError(f"--since {since:%Y-%m-%d} lies in the future", "nothing was received since")
    if not (options.dry_run or options.yes or sys.stdin.isatty()):
        raise OperatorError("nobody can be asked here", "give --yes, or --dry-run")
    most = min(shell.rows(limit) or MOST_SHOWN, MOST_SHOWN)
    findings = Findings(run=run_id(), dry_run=options.dry_run, show_phi=show_phi, most=most)
    try:
        await _run(shell, options, findings)
    except BaseException as error:
        if findings.enqueued:
            done = f"run {findings.run} had enqueued {findings.enqueued} registrations"
            shell.output.warn(f"{done}; another run finds the rest")
        if not isinstance(error, OSError):
            raise
        why = error.strerror or type(error).__name__
        what = f"the volume {shell.settings.files_root} cannot be read: {why}"
        raise OperatorError(what, "check its mount and CHRIS_FILES_ROOT; then run it again") from error
    findings.make_tables()
    shell.output.show(findings)
    return ExitStatus.OK if findings.sound else ExitStatus.FAILED


async def _run(shell: Shell, options: Options, findings: Findings) -> None:
    async with catalogue(shell.settings.cube, options.rate) as cube:
        root, spool = await _places(shell, options.pacs)
        scope = {"root": str(root), "cube": cube.url, "pacs": options.pacs or ""}
        path = None if options.dry_run else options.state
        state = read_state(path, State(scope=scope, since=options.since))
        options = replace(options, since=state.since, state=path)
        what = f"run {findings.run} --pacs {options.pacs} --since {options.since}"
        async with shell.seeing_patient_data(findings.show_phi, options.because, what):
            await Run(shell, options, root, spool, cube, state, findings).run()


async def _places(shell: Shell, pacs: str | None) -> tuple[Path, Path]:
    """Storage root and spool, of which something can be told: of nothing nothing would be missing."""
    root, spool = shell.settings.files_root, shell.settings.spool
    if root is None or spool is None or not await of_volume((root / PACS_ROOT).is_dir):
        what = f"there is no {PACS_ROOT} below {root}" if root else "the volume is not visible from here"
        raise OperatorError(what, "set CHRIS_FILES_ROOT to CUBE's storage root as it is mounted here")
    if pacs is not None and (
        not pacs.strip(".") or "/" in pacs or not await of_volume((root / PACS_ROOT / pacs).is_dir)
    ):
        raise OperatorError(f"there is no folder {pacs} below {PACS_ROOT}", "give --pacs as paths have it")
    if not await of_volume(lambda: has_journals(FileSystem(), str(spool))):
        raise OperatorError(f"there are no journals below {spool}", "set CHRIS_SPOOL_DIR; start a receiver")
    return root, spool
