"""A replay from its first look to its outcome: under the lock, within the audit, canary first."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

from aio_pika.abc import AbstractConnection

from lapidicom.cli.audit import audited, told_filters
from lapidicom.cli.dead_letters.letter import read_letter
from lapidicom.cli.dead_letters.lock import Busy, lock
from lapidicom.cli.dead_letters.reading import reading
from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.cli.filters import Filters
from lapidicom.cli.replay.edits import Edits
from lapidicom.cli.replay.engine import Progress, Replay
from lapidicom.cli.replay.outcome import AsksByPath, Outcomes, returned_of, wait_for_outcomes
from lapidicom.cli.replay.pace import Pace
from lapidicom.cli.replay.records import Record, Records
from lapidicom.cli.replay.selection import Seeing, Seen, Selection, Send
from lapidicom.common.broker import BrokerError, Publisher
from lapidicom.common.topology import DEAD_LETTER_QUEUE

ACT = "dlq replay"


@dataclass(frozen=True)
class Wishes:
    """What the operator wants.

    Attributes:
        replay: id of this replay.
        filters: which letters.
        edits: new values of fields.
        limit: no more than so many.
        dry_run: only look.
        canary: so many first, and the rest only if these were registered; 0 for none.
        wait: until the outcome of each is known.
        wait_seconds: the longest wait, for the canary and at the end.
        pace: how fast, and when it stops by itself.
        why: the operator's reason.
    """

    replay: str
    filters: Filters
    edits: Edits
    limit: int | None
    dry_run: bool
    canary: int
    wait: bool
    wait_seconds: float
    pace: Pace
    why: str


@dataclass
class Report:
    """What came of it.

    Attributes:
        seen: at the first look.
        interrupted: open records of replays that were interrupted, as they were found.
        progress: what was sent.
        outcomes: what is known of its end; without a wait only what came back at once.
        canary_failed: the canaries were not all registered, so the rest was left.
        waited: the outcomes were waited for.
    """

    seen: Seen
    interrupted: tuple[Record, ...]
    progress: Progress = field(default_factory=Progress)
    outcomes: Outcomes = field(default_factory=Outcomes)
    canary_failed: bool = False
    waited: bool = False

    @property
    def is_good(self) -> bool:
        """All that was selected is sent, and nothing is known to have failed."""
        sent = self.progress.sent == self.seen.selected and not self.seen.uneditable
        return sent and not self.outcomes.returned and (not self.waited or self.outcomes.are_good)


class Watches(Protocol):
    """Hears how the replay goes."""

    def planned(self, report: Report) -> None:
        """The first look is over; nothing is done yet."""

    def sent(self, more: int) -> None:
        """So many more are replayed."""

    def waiting(self, total: int) -> None:
        """Now the outcome of so many is waited for."""

    def registered(self, more: int) -> None:
        """So many more of these are registered."""


Publishing = Callable[[], AbstractAsyncContextManager[Publisher]]


async def replay(
    link: AbstractConnection,
    publishing: Publishing,
    cube: AsksByPath | None,
    wishes: Wishes,
    watcher: Watches,
) -> Report:
    """Replay what is wished.

    Args:
        link: for the dead letters.
        publishing: makes a publisher on another connection.
        cube: tells what is registered; needed for a canary and for a wait.
        wishes: of the operator.
        watcher: hears how it goes.

    Raises:
        Busy: another operator is at the dead letters.
        OperatorError: RabbitMQ went away amidst; it tells how far it came.
        BrokerError: it could not be begun.
    """
    async with publishing() as publisher, AsyncExitStack() as locked:
        await locked.enter_async_context(lock(link))
        held = Records(link, publisher, wishes.replay)
        await held.find()
        selection = Selection(wishes.filters, wishes.edits, wishes.replay, wishes.limit)
        seen = await _see(link, selection, held.interrupted)
        report = Report(seen, held.interrupted)
        watcher.planned(report)
        if wishes.dry_run:
            return report
        if not seen.selected:
            await held.settle(seen.recorded)
            return report
        told, private = told_filters(wishes.filters)
        private |= {"edits": dict(wishes.edits.values)} if wishes.edits.values else {}
        before = {"replay": wishes.replay, "selected": seen.selected, "edited": wishes.edits.names, **told}
        async with audited(publisher, ACT, why=wishes.why, before=before, private=private) as after:
            work = _Work(link, publisher, held, selection, cube, wishes, watcher, report)
            try:
                await work.do()
                await held.settle(seen.recorded - report.progress.copies)
                await locked.aclose()  # the others may look while this one waits
                await work.wait()
            finally:
                after |= _after(wishes, report)
        return report


async def _see(link: AbstractConnection, selection: Selection, interrupted: tuple[Record, ...]) -> Seen:
    seeing = Seeing(selection, interrupted)
    async with reading(link, DEAD_LETTER_QUEUE) as letters:
        async for held in letters:
            seeing.add(read_letter(held.body, held.properties))
    return seeing.finish()


class _Work:
    """The part that changes something."""

    def __init__(
        self,
        link: AbstractConnection,
        publisher: Publisher,
        held: Records,
        selection: Selection,
        cube: AsksByPath | None,
        wishes: Wishes,
        watcher: Watches,
        report: Report,
    ) -> None:
        self._link = link
        self._cube = cube
        self._wishes = wishes
        self._watcher = watcher
        self._report = report
        self._expects = wishes.canary > 0
        self._engine = Replay(
            link,
            publisher,
            held,
            selection,
            wishes.replay,
            report.seen,
            wishes.pace,
            self._sent,
        )
        report.progress = self._engine.progress

    async def do(self) -> None:
        """The canary, then the rest."""
        try:
            if self._wishes.canary:
                await self._engine.run(self._wishes.canary)
                await self._wait_for_outcomes(self._returned)
                self._report.canary_failed = not self._report.outcomes.are_good
                if self._report.canary_failed:
                    return
            self._expects = self._wishes.wait
            await self._rest()
        except BrokerError as error:
            progress = self._report.progress
            raise OperatorError(
                f"RabbitMQ failed after {progress.sent} were replayed ({error})",
                "none is lost; up to "
                f"{self._wishes.pace.in_flight} more may be sent and be dead letters still: "
                "the next replay says which",
                ExitStatus.UNUSABLE,
            ) from error

    async def _rest(self) -> None:
        """Replay until all are sent, or too many of this very replay came back."""
        while True:
            await self._engine.run()
            new = self._report.progress.new
            if not new:
                return
            returned = await self._returned()
            self._report.outcomes.came_back(returned)
            if not self._report.progress.is_stopped or self._wishes.pace.stops_at(len(returned)):
                return
            self._engine.excuse(new - len(returned))

    async def wait(self) -> None:
        """Wait for the outcomes, if that is wished."""
        if self._wishes.wait and not self._report.canary_failed and self._report.progress.sent:
            await self._wait_for_outcomes(self._returned_under_lock)
            self._report.waited = True

    async def _wait_for_outcomes(self, look: Callable[[], Awaitable[dict[str, str]]]) -> None:
        assert self._cube is not None, "checked before anything is done"  # noqa: S101
        outcomes = self._report.outcomes
        self._watcher.waiting(len(outcomes.waiting))
        await wait_for_outcomes(
            outcomes,
            link=self._link,
            look=look,
            cube=self._cube,
            seconds=self._wishes.wait_seconds,
            on_registered=self._watcher.registered,
        )

    async def _returned(self) -> dict[str, str]:
        return await returned_of(self._link, self._wishes.replay)

    async def _returned_under_lock(self) -> dict[str, str]:
        try:
            async with lock(self._link):
                return await self._returned()
        except Busy:
            return self._report.outcomes.returned

    def _sent(self, sends: Sequence[Send]) -> None:
        if self._expects:
            self._report.outcomes.expect(sends)
        self._watcher.sent(len(sends))


def _after(wishes: Wishes, report: Report) -> dict[str, Any]:
    """What the audit tells of the end."""
    progress, outcomes = report.progress, report.outcomes
    told: dict[str, Any] = {
        "replay": wishes.replay,
        "sent": progress.sent,
        "merged": progress.merged,
        "returned": len(outcomes.returned),
    }
    if report.waited or wishes.canary:
        told |= {"registered": outcomes.registered, "waiting": len(outcomes.waiting)}
    if progress.is_stopped:
        told["stopped"] = "replayed messages came back"
    if report.canary_failed:
        told["stopped"] = "the canary was not registered"
    return told
