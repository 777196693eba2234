"""`lapidicom dlq replay`: dead letters go back to the work queue."""

import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from lapidicom.cli.cube import catalogue
from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.cli.filters import FilterOptions, Filters
from lapidicom.cli.masking import MASK
from lapidicom.cli.output import Column
from lapidicom.cli.publishing import publishing
from lapidicom.cli.rates import parse_rate
from lapidicom.cli.replay.edits import make_edits
from lapidicom.cli.replay.pace import STOP_AFTER, Pace
from lapidicom.cli.replay.run import Report, Wishes
from lapidicom.cli.replay.run import replay as do_replay
from lapidicom.cli.shell import Shell, command

CUBE_RATE = 20.0
"""Questions to CUBE a second: it must register meanwhile."""


@command(
    "lapidicom dlq replay --reason refused --dry-run",
    "lapidicom dlq replay --reason refused --canary 3 --wait --because 'CUBE was updated'",
    "lapidicom dlq replay --all --rate 50 --keep-going",
    "lapidicom dlq replay --where Modality=XX --set Modality=OT",
)
def replay(
    shell: Shell,
    filters: FilterOptions,
    every: Annotated[bool, typer.Option("--all", help="All dead letters, in place of filters.")] = False,
    limit: Annotated[int, typer.Option(min=0, help="At most so many, the oldest; 0 is all.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; do nothing.")] = False,
    canary: Annotated[
        int,
        typer.Option(min=0, help="Replay so many first; go on only if CUBE then has them. Needs CHRIS_URL."),
    ] = 0,
    rate: Annotated[str, typer.Option(help="No faster than this, such as 50 or 50/s; at least 0.1.")] = "",
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Do not stop when ten of them have come back.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Tell at the end how many were registered. Needs CHRIS_URL.")
    ] = False,
    wait_seconds: Annotated[
        float, typer.Option(min=0, help="Wait no longer than this for canary or outcome.")
    ] = 600.0,
    given: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Give a field a new value. May be given again."),
    ] = None,
    unset: Annotated[
        list[str] | None, typer.Option(metavar="FIELD", help="Take a field away. May be given again.")
    ] = None,
    why: Annotated[str, typer.Option("--because", help="Why; goes into the audit.")] = "",
    show_phi: Annotated[bool, typer.Option("--show-phi", help="Show patient data in the diff.")] = False,
) -> ExitStatus:
    """Send dead letters back to the work queue, oldest first.

    Each is published and confirmed before it stops being a dead letter: whatever happens, none is lost.
    Attempts start anew; what had happened before stays in the headers. Ctrl-C ends what is under way.
    """
    _check_selection(filters, every)
    per_second = parse_rate(rate) if rate else None
    wishes = Wishes(
        replay=f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}",
        filters=filters,
        edits=make_edits(given or (), unset or ()),
        limit=limit or None,
        dry_run=dry_run,
        canary=canary,
        wait=wait,
        wait_seconds=wait_seconds,
        pace=Pace(per_second, stop_after=None if keep_going else STOP_AFTER),
        why=why,
    )
    report = shell.run(_replay(shell, wishes, show_phi))
    _tell_end(shell, wishes, report)
    if shell.output.json:
        shell.output.document(_document(wishes, report))
    if dry_run or report.is_good:
        return ExitStatus.OK
    return ExitStatus.FAILED


async def _replay(shell: Shell, wishes: "Wishes", show_phi: bool) -> "Report":
    asks = (wishes.canary or wishes.wait) and not wishes.dry_run
    section = shell.settings.cube
    if asks and section is None:
        raise OperatorError(
            "CUBE is not visible from here",
            "--canary and --wait need CHRIS_URL, CHRIS_USERNAME and CHRIS_PASSWORD",
            ExitStatus.UNUSABLE,
        )
    url = shell.settings.amqp_url.get_secret_value()
    async with AsyncExitStack() as stack:
        cube = None
        if asks and section is not None:
            cube = await stack.enter_async_context(catalogue(section, CUBE_RATE))
            await cube.check_generation()
        link = await stack.enter_async_context(shell.connection())
        watcher = stack.enter_context(_Watcher(shell, wishes, show_phi))
        try:
            return await do_replay(link, lambda: publishing(url, shell.command), cube, wishes, watcher)
        except BaseException:
            watcher.broke()
            raise


class _Watcher:
    """Prints the plan, then shows how far the replay is."""

    def __init__(self, shell: Shell, wishes: "Wishes", show_phi: bool) -> None:
        self._shell = shell
        self._wishes = wishes
        self._show_phi = show_phi
        self._report: Report | None = None
        self._bars = AsyncExitStack()
        self._open: Any = None
        self._advance: Callable[[int], None] = lambda _: None

    def __enter__(self) -> "_Watcher":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar(None)

    def _bar(self, what: str | None, total: int = 0) -> None:
        if self._open is not None:
            self._open.__exit__(None, None, None)
            self._open = None
        if what is not None:
            self._open = self._shell.output.progress(what, total)
            self._advance = self._open.__enter__()

    def planned(self, report: "Report") -> None:
        """Tell what was seen."""
        self._report = report
        _tell_plan(self._shell, self._wishes, report, self._show_phi)
        if not self._wishes.dry_run:
            self._bar("replayed", report.seen.selected)

    def sent(self, more: int) -> None:
        """Move the bar."""
        self._advance(more)

    def waiting(self, total: int) -> None:
        """Begin a bar of its own."""
        self._bar("registered", total)

    def registered(self, more: int) -> None:
        """Move the bar."""
        self._advance(more)

    def broke(self) -> None:
        """It ended amidst: say how far it came."""
        self._bar(None)
        if self._report is not None and not self._wishes.dry_run:
            progress = self._report.progress
            self._shell.output.warn(
                f"replay {self._wishes.replay}: {progress.sent} of {self._report.seen.selected} replayed; "
                "the others are dead letters still"
            )


def _check_selection(filters: Filters, every: bool) -> None:
    if filters.any == every:
        raise OperatorError(
            "nothing says which dead letters" if not every else "--all and filters contradict one another",
            "give filters such as --reason, or --all",
            ExitStatus.UNUSABLE,
        )


def _tell_plan(shell: Shell, wishes: "Wishes", report: "Report", show_phi: bool) -> None:
    output, seen = shell.output, report.seen
    verb = "would be" if wishes.dry_run else "will be"
    output.text(f"replay {wishes.replay}: {seen.selected} of {seen.letters} dead letters {verb} replayed")
    if seen.reasons:
        output.table(["reason", Column("letters", right=True)], seen.reasons.most_common())
    if report.interrupted:
        output.warn(_tell_interrupted(report))
    if seen.copies:
        output.text(
            f"{seen.copies} more are copies of these: each is replayed once, its copies {verb} taken out"
        )
    if seen.unlike:
        output.text(f"{seen.unlike} have the id of one of these and another body: they stay as they are")
    for reason, count in seen.why_uneditable.most_common():
        output.text(f"{count} cannot be edited and stay as they are: {reason}")
    if seen.changed:
        output.text(f"{seen.changed} {verb} edited, such as:")
        output.table(
            ["field", "before", "after"],
            [(one.name, _value(one.before, show_phi), _value(one.after, show_phi)) for one in seen.changes],
        )


def _tell_interrupted(report: "Report") -> str:
    first = report.interrupted[0]
    return (
        f"an interrupted replay ({first.replay} by {first.who} at {first.when}) may already have sent "
        f"{len(report.seen.recorded)} of the dead letters; {report.seen.second} of these are selected here: "
        "they may be second copies, which end in one registration"
    )


def _value(value: object, show_phi: bool) -> str:
    if value is None:
        return "(absent)"
    return repr(value) if show_phi else MASK


def _tell_end(shell: Shell, wishes: "Wishes", report: "Report") -> None:
    if wishes.dry_run or not report.seen.selected:
        return
    output, progress, outcomes = shell.output, report.progress, report.outcomes
    left = report.seen.selected - progress.sent
    output.text(f"{progress.sent} replayed" + (f", {left} left as they were" if left else ""))
    if progress.merged:
        output.text(f"{progress.merged} further copies taken out")
    if report.waited or wishes.canary:
        told = [f"{outcomes.registered} registered", f"{len(outcomes.returned)} dead letters again"]
        if outcomes.waiting:
            told.append(f"{len(outcomes.waiting)} waiting still")
        if outcomes.untold:
            told.append(f"{outcomes.untold} register nothing")
        output.text(", ".join(told))
    if outcomes.returned:
        output.table(["came back as", Column("letters", right=True)], outcomes.reasons.most_common())
    if report.canary_failed:
        output.warn("the canary was not registered: the rest was left as it is")
    elif progress.is_stopped:
        output.warn("stopped: replayed messages came back; --keep-going does not stop for that")


def _document(wishes: "Wishes", report: "Report") -> dict[str, Any]:
    seen, progress, outcomes = report.seen, report.progress, report.outcomes
    return {
        "replay": wishes.replay,
        "dry_run": wishes.dry_run,
        "letters": seen.letters,
        "selected": seen.selected,
        "reasons": dict(seen.reasons),
        "copies": seen.copies,
        "unlike_copies": seen.unlike,
        "not_editable": dict(seen.why_uneditable),
        "edited": {"fields": list(wishes.edits.names), "letters": seen.changed},
        "interrupted": {
            "replays": sorted({record.replay for record in report.interrupted}),
            "letters": len(seen.recorded),
            "selected": seen.second,
        },
        "sent": progress.sent,
        "merged": progress.merged,
        "stopped": progress.is_stopped,
        "canary_failed": report.canary_failed,
        "returned": dict(outcomes.reasons),
        "registered": outcomes.registered if report.waited or wishes.canary else None,
        "waiting": len(outcomes.waiting) if report.waited or wishes.canary else None,
    }
