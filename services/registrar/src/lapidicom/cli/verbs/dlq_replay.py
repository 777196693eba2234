"""`lapidicom dlq replay`: dead letters go back to the work queue."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import typer
from aio_pika.abc import AbstractConnection

from lapidicom.cli.answers import HIDDEN, NUMBER, Answer, Display
from lapidicom.cli.cube import Catalogue, catalogue
from lapidicom.cli.dead_letters import Busy, each, lock, walk
from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.cli.filters import Filters
from lapidicom.cli.masking import MASK
from lapidicom.cli.replay_plan import REPLAY, Change, Plan, read_edits
from lapidicom.cli.sending import Sending, Sent, wait_for_outcomes
from lapidicom.cli.shell import Because, DryRun, Shell, ShowPhi, command, run_id
from lapidicom.cli.times import parse_rate
from lapidicom.common.broker import BrokerError

CUBE_RATE: Final = 20.0
"""Questions to CUBE a second: it must register meanwhile."""

STOP_AT: Final = 10
"""Messages of a replay that may come back before it stops by itself."""


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
def replay(
    shell: Shell,
    filters: Filters,
    every: Annotated[bool, typer.Option("--all", help="All dead letters, in place of filters.")] = False,
    first: Annotated[int, typer.Option(min=0, help="Only so many, the oldest; 0: all.")] = 0,
    dry_run: DryRun = False,
    canary: Annotated[
        int,
        typer.Option(min=0, help="Replay so many first; go on only if CUBE then has them. Needs CHRIS_URL."),
    ] = 0,
    rate: Annotated[
        float | None,
        typer.Option(parser=parse_rate, metavar="RATE", help="No faster than this, such as 50/s."),
    ] = None,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Do not stop when ten of them have come back.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until CUBE has them, and say how many. Needs CHRIS_URL.")
    ] = False,
    wait_seconds: Annotated[
        float, typer.Option(min=0, help="Wait no longer than this for canary or outcome.")
    ] = 600.0,
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
    plan = Plan(filters.matches, edits, run_id(), first)
    what = f"{filters or '--all'} {' '.join(f'--set {name}' for name in edits)}"
    if dry_run:
        shell.run(_see(shell, plan, because, what, show_phi=show_phi))
        answer = _answer(plan, Sent(), dry_run=True, show_phi=show_phi)
    else:
        stop_at = None if keep_going else STOP_AT
        run = _Replay(shell, plan, rate or 0.0, stop_at, canary, wait, wait_seconds)
        shell.run(run.run(because, what, show_phi=show_phi))
        answer = _answer(plan, run.done, show_phi=show_phi, waited=bool(wait or canary), **run.stopped)
    shell.output.show(answer)
    return ExitStatus.OK if dry_run or answer.is_good else ExitStatus.FAILED


async def _see(shell: Shell, plan: Plan, because: str, what: str, *, show_phi: bool) -> None:
    what = f"{what} --dry-run"
    async with shell.seeing_patient_data(show_phi, because, what), shell.connection() as link, lock(link):
        await _walk(link, plan)


async def _walk(link: AbstractConnection, plan: Plan) -> None:
    async with walk(link) as letters:
        async for letter, _ in each(letters):
            plan.see(letter)


@dataclass
class _Replay:
    """A replay from its first look to its outcome: under the lock, within the audit, canary first.

    The options are those of the verb; `stopped` is what ended it early.
    """

    shell: Shell
    plan: Plan
    rate: float
    stop_at: int | None
    canary: int
    wait: bool
    seconds: float
    done: Sent = field(default_factory=Sent)
    stopped: dict[str, bool] = field(default_factory=dict)

    async def run(self, because: str, what: str, *, show_phi: bool) -> None:
        """Replay what is meant.

        Raises:
            Busy: another operator is at the dead letters.
            OperatorError: RabbitMQ went away amidst, or CUBE is not what is needed.
            BrokerError: it could not be begun.
        """
        shell, plan = self.shell, self.plan
        async with AsyncExitStack() as stack:
            cube = await self._cube(stack) if self.canary or self.wait else None
            link = await stack.enter_async_context(shell.connection())
            publisher = await stack.enter_async_context(shell.publishing())
            locked = await stack.enter_async_context(AsyncExitStack())
            await locked.enter_async_context(lock(link))
            await _walk(link, plan)
            shell.output.text(f"replay {plan.replay}: {plan.selected} of {plan.letters} dead letters")
            if not plan.selected:
                return
            after = await stack.enter_async_context(
                shell.audited(because, f"{what}{' --show-phi' * show_phi}", plan.selected)
            )
            advance = stack.enter_context(shell.output.progress("replayed", plan.selected))
            sending = Sending(
                link,
                publisher,
                plan.choose,
                letters=plan.letters,
                wanted=plan.selected,
                rate=self.rate,
                on_sent=advance,
            )
            self.done = sending.done
            try:
                if await self._send(sending, link, cube):
                    await locked.aclose()  # the others may look while this one waits
                    await self._outcomes(link, cube, under_lock=False)
            except BrokerError as error:
                raise OperatorError(
                    f"RabbitMQ failed after {self.done.sent} were replayed ({error})",
                    f"none is lost; up to {sending.in_flight} more may be sent and be dead letters still: "
                    "a second registration does no harm",
                ) from error
            except BaseException:
                done = f"{self.done.sent} of {plan.selected} replayed; the others are dead letters still"
                shell.output.warn(f"replay {plan.replay}: {done}")
                raise
            finally:
                counts = {"sent": self.done.sent, "returned": len(self.done.returned)}
                after |= {"replay": plan.replay, **counts, **self.stopped}

    async def _cube(self, stack: AsyncExitStack) -> Catalogue:
        section = self.shell.settings.cube
        if section is None:
            needs = "--canary and --wait need CHRIS_URL, CHRIS_USERNAME and CHRIS_PASSWORD"
            raise OperatorError("CUBE is not visible from here", needs)
        cube = await stack.enter_async_context(catalogue(section, CUBE_RATE))
        await cube.check_generation()
        return cube

    async def _send(self, sending: Sending, link: AbstractConnection, cube: Catalogue | None) -> bool:
        """The canary, then the rest; whether there is an outcome to wait for."""
        if self.canary:
            await sending.run(self.canary)
            await self._outcomes(link, cube, under_lock=True)
            if self.done.returned or self.done.waiting:
                self.stopped = {"canary_failed": True}
                return False
        sending.expects = self.wait
        excused = 0
        while True:
            stop_at = None if self.stop_at is None else self.stop_at + excused
            await sending.run(stop_at=stop_at)
            if sending.new:
                self.done.came_back(await self._returned(link))
            if stop_at is None or sending.new < stop_at:
                return self.wait
            if len(self.done.returned) >= (self.stop_at or 0):
                self.stopped = {"stopped": True}
                return self.wait
            excused = sending.new - len(self.done.returned)  # these have nothing to do with this replay

    async def _outcomes(self, link: AbstractConnection, cube: Catalogue | None, *, under_lock: bool) -> None:
        async def look() -> dict[str, str]:
            if under_lock:
                return await self._returned(link)
            try:
                async with lock(link):
                    return await self._returned(link)
            except Busy:
                return self.done.returned

        if cube is not None:
            total = len(self.done.waiting)
            with self.shell.output.progress("registered", total) as advance:
                await wait_for_outcomes(
                    self.done, link=link, look=look, cube=cube, seconds=self.seconds, on_registered=advance
                )

    async def _returned(self, link: AbstractConnection) -> dict[str, str]:
        """Which messages of this replay are dead letters again, with their reasons."""
        async with walk(link) as letters:
            return {
                letter.id: letter.reason
                async for letter, _ in each(letters)
                if letter.headers.get(REPLAY) == self.plan.replay
            }


def _answer(plan: Plan, done: Sent, *, show_phi: bool, waited: bool = False, **more: Any) -> Replayed:
    return Replayed(
        replay=plan.replay,
        letters=plan.letters,
        selected=plan.selected,
        reasons=dict(plan.reasons.most_common()),
        not_editable=dict(plan.not_editable.most_common()),
        edited=plan.edited,
        edits=[_edit(change, show_phi=show_phi) for change in plan.changes],
        sent=done.sent,
        registered=done.registered if waited else None,
        waiting=len(done.waiting) if waited else None,
        register_nothing=done.no_files,
        returned=dict(done.reasons.most_common()),
        **more,
    )


def _edit(change: Change, *, show_phi: bool) -> Edit:
    before, after = (
        "(absent)" if value is None else repr(value) if show_phi else MASK
        for value in (change.before, change.after)
    )
    return Edit(field=change.name, before=before, after=after)
