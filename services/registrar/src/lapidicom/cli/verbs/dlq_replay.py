"""`lapidicom dlq replay`: dead letters go back to the work queue."""

from typing import Annotated

import typer

from lapidicom.cli.dead_letters import lock
from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.cli.filters import Filters
from lapidicom.cli.replay_plan import Plan, Replayed, read_edits
from lapidicom.cli.replaying import Options, replay_letters, see
from lapidicom.cli.shell import Because, DryRun, Shell, ShowPhi, command, run_id


@command(
    "lapidicom dlq replay --reason refused --dry-run",
    "lapidicom dlq replay --reason refused --canary 3 --wait --because 'CUBE was updated'",
    "lapidicom dlq replay --all --rate 50 --keep-going",
    "lapidicom dlq replay --where Modality=XX --set Modality=OT",
)
async def replay(
    shell: Shell,
    filters: Filters,
    options: Options,
    every: Annotated[bool, typer.Option("--all", help="All dead letters, in place of filters.")] = False,
    dry_run: DryRun = False,
    given: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Give a field a new value. Repeatable."),
    ] = None,
    unset: Annotated[
        list[str] | None, typer.Option(metavar="FIELD", help="Take a field away. Repeatable.")
    ] = None,
    because: Because = "",
    show_phi: ShowPhi = False,
) -> ExitStatus:
    """Send dead letters back to the work queue, oldest first.

    Each is published and confirmed before it stops being a dead letter: whatever happens, none is lost.
    Attempts start anew; what had happened before stays in the headers. Ctrl-C ends what is under way.
    """
    if filters.are_given == every:
        what = "--all and filters contradict one another" if every else "nothing says which dead letters"
        raise OperatorError(what, "give filters such as --reason, or --all")
    try:
        edits = read_edits(given or (), unset or ())
    except ValueError as error:
        raise OperatorError(str(error)) from None
    plan = Plan(filters.matches, edits, run_id())
    answer = Replayed(replay=plan.replay, dry_run=dry_run, show_phi=show_phi)
    what = f"{filters or '--all'} {' '.join(f'--set {name}' for name in edits)}"
    if dry_run:
        seeing = shell.seeing_patient_data(show_phi, because, f"{what} --dry-run")
        async with seeing, shell.connection() as link, lock(link):
            await see(link, plan, options.first, answer)
    else:
        await replay_letters(shell, plan, options, because, what + " --show-phi" * show_phi, answer)
    shell.output.show(answer)
    return ExitStatus.OK if dry_run or answer.is_good else ExitStatus.FAILED
