"""`lapidicom dlq replay`: dead letters go back to the work queue."""

from collections import Counter
from typing import Annotated

import typer

from lapidicom.cli.answers import HIDDEN, NUMBER, Answer, Display
from lapidicom.cli.dead_letters import lock
from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.cli.filters import Filters
from lapidicom.cli.masking import MASK
from lapidicom.cli.replay_plan import REPLAY, Plan, read_edits
from lapidicom.cli.replaying import STOP_AT, Options, Sent, replay_letters, see
from lapidicom.cli.shell import Because, DryRun, Shell, ShowPhi, command, run_id


class Edit(Answer):
    """One field of one message, before and after."""

    field: str
    before: str
    after: str


class Replayed(Answer):
    """What was selected, and what came of it.

    `registered` and `waiting` are null unless they were waited for.
    """

    replay: Annotated[str, HIDDEN]
    dry_run: Annotated[bool, HIDDEN] = False
    letters: Annotated[int, HIDDEN]
    selected: Annotated[int, HIDDEN]
    reasons: dict[str, int]
    not_editable: dict[str, int]
    edited: Annotated[int, NUMBER]
    edits: Annotated[list[Edit], Display("such as")]
    sent: Annotated[int, HIDDEN] = 0
    registered: int | None = None
    waiting: int | None = None
    register_nothing: int = 0
    returned: dict[str, int] = {}
    stopped: Annotated[bool, HIDDEN] = False
    canary_failed: Annotated[bool, HIDDEN] = False

    @property
    def is_good(self) -> bool:
        """All that was selected is sent, and nothing is known to have failed."""
        sent = self.sent == self.selected and not self.not_editable
        return sent and not self.returned and not self.waiting

    def headline(self) -> list[str]:
        """What will be, or was, done."""
        name = f"replay {self.replay}"
        if self.dry_run:
            return [f"{name}: {self.selected} of {self.letters} dead letters would be replayed"]
        left = self.selected - self.sent
        lines = [f"{name}: {self.sent} replayed" + (f", {left} left as they were" if left else "")]
        if self.canary_failed:
            lines.append("The canary was not registered, so the others stay dead letters.")
        if self.stopped:
            lines.append(f"Stopped: {STOP_AT} have come back. --keep-going sends the others all the same.")
        if self.returned:
            lines.append(f"`lapidicom dlq list --where {REPLAY}={self.replay}` shows those that came back.")
        return lines


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
    first: Annotated[int, typer.Option(min=0, help="Only so many, the oldest; 0: all.")] = 0,
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
    plan, done = Plan(filters.matches, edits, run_id(), first), Sent()
    what = f"{filters or '--all'} {' '.join(f'--set {name}' for name in edits)}"
    if dry_run:
        seeing = shell.seeing_patient_data(show_phi, because, f"{what} --dry-run")
        async with seeing, shell.connection() as link, lock(link):
            await see(link, plan)
    else:
        what += " --show-phi" * show_phi
        done = await replay_letters(shell, plan, options, because, what)
    waited = not dry_run and bool(options.wait or options.canary)
    answer = Replayed(
        replay=plan.replay,
        dry_run=dry_run,
        letters=plan.letters,
        selected=plan.selected,
        reasons=dict(plan.reasons.most_common()),
        not_editable=dict(plan.not_editable.most_common()),
        edited=plan.edited,
        edits=[
            Edit(field=name, before=_value(before, show_phi=show_phi), after=_value(after, show_phi=show_phi))
            for name, before, after in plan.changes
        ],
        sent=done.sent,
        registered=done.registered if waited else None,
        waiting=len(done.waiting) if waited else None,
        register_nothing=done.no_files,
        returned=dict(Counter(done.returned.values()).most_common()),
        stopped=done.stopped,
        canary_failed=done.canary_failed,
    )
    shell.output.show(answer)
    return ExitStatus.OK if dry_run or answer.is_good else ExitStatus.FAILED


def _value(value: object, *, show_phi: bool) -> str:
    return "(absent)" if value is None else repr(value) if show_phi else MASK
