"""Carries the steps of a healing out, one after the other, looking anew before each."""

import asyncio
import time
from collections.abc import Callable, Sized
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.cli.heal.hold import Advance, Hold
from lapidicom.cli.heal.in_cube import InCube
from lapidicom.cli.heal.plan import Aim, Row, Seen, Step, Stop, next_step
from lapidicom.cli.heal.register import register, see
from lapidicom.cli.in_thread import of_volume
from lapidicom.common.open_series import is_open
from lapidicom.registrar.cube.outcomes import SUCCESSES, Outcome
from lapidicom.registrar.cube.replies import Answer, Reply

T = TypeVar("T")

LOOKS: Final = 5
"""How often a series must be seen open: a receiver that meets the mark has its marker for a moment."""

AGAIN: Final = "nothing is lost: run it again"

_PASSING: Final = frozenset({Outcome.NOT_YET_VISIBLE, Outcome.HELD_UP, Outcome.OUTAGE, Outcome.RETRY})
_FAILED: Final = ExitStatus.FAILED


@dataclass(frozen=True)
class HealingPatience:
    """How long it waits, in seconds.

    Attributes:
        cache: the longest age of a directory that a client of the volume may show; 0 on a local file system.
            There nobody needs to wait: of a marker and the mark the one that was made later sees the other.
        registration: for what CUBE may be at: it counts for 29 s, and goes on when its client has left. What
            looks half registered may be a series that it registers just now.
        poll: between two looks.
        most: for CUBE to delete the series, and to register it.
    """

    cache: float
    registration: float = 35.0
    poll: float = 1.0
    most: float = 600.0

    def pause(self, seen: Seen) -> float:
        """How long to wait before anything is done to the series."""
        is_half = seen.row is None and seen.known > 0
        return max(2 * self.cache, self.registration if is_half else 0.0)


@dataclass
class Healing:
    """The healing of one series.

    Attributes:
        hold: its mark and links.
        aim: what is to come of it.
        cube: where it is registered.
        patience: how long to wait.
        progress: shows how far a step is: what is done, and of how many.
        tell: called with each step before it is begun.
        has_begun: whether a step was done, so that the series is marked until it is healed.
    """

    hold: Hold
    aim: Aim
    cube: InCube
    patience: HealingPatience
    progress: Callable[[str, int | None], AbstractContextManager[Advance]]
    tell: Callable[[Step], None]
    has_begun: bool = field(default=False, init=False)
    _has_waited: bool = field(default=False, init=False)
    _replies: dict[Step, Reply | None] = field(default_factory=dict, init=False)
    _give_up_at: float = field(default=0.0, init=False)

    async def look(self) -> Seen:
        """See CUBE and the volume. CUBE's series first: once that is gone, so is all that CUBE knew of it."""
        row = await self._row()
        known = await self.cube.count(self.aim.kept)
        registered = await self.cube.count(self.aim.folder, fname_icontains=".dcm")
        return await self._volume(self._seen, row, known, registered)

    async def run(self) -> Stop:
        """Do what is to be done, and say how it ended.

        Raises:
            OperatorError: it cannot go on now, or another run is at it.
            OSError: the volume does not do what it must.
        """
        try:
            await self._volume(self.hold.take)
            while not isinstance(step := next_step(seen := await self.look(), self.aim), Stop):
                self.tell(step)
                await self._do(step, seen)
                self.has_begun = True
                if step is Step.UNMARK:  # what comes from now on is another story
                    return Stop()
            if step.may_undo:
                await self._undo(seen)
            return step
        except BlockingIOError:
            raise OperatorError("another run heals this series", status=ExitStatus.BUSY) from None
        finally:
            self.hold.let_go()

    async def _row(self) -> Row | None:
        return (await self.cube.rows(self.hold.uid)).get(self.hold.pacs)

    def _seen(self, row: Row | None, known: int, registered: int) -> Seen:
        hold, kept, folder = self.hold, self.aim.kept, self.aim.folder
        return Seen(
            is_marked=hold.aim() is not None,
            has_waited=self._has_waited,
            is_open=is_open(hold.spool, hold.pacs, hold.uid),
            files=hold.files(kept),
            links=hold.links(),
            elsewhere=None if folder == kept else see(hold, folder).count,
            row=row,
            known=known,
            registered=registered,
        )

    async def _do(self, step: Step, seen: Seen) -> None:
        hold, kept = self.hold, self.aim.kept
        match step:
            case Step.MARK:
                await self._volume(hold.mark, self.aim)
            case Step.WAIT:
                await self._wait(seen)
            case Step.LINK:
                await self._link(seen)
            case Step.DELETE if seen.row is not None:
                await self._only_once(step)
                self._replies[step] = await self.cube.cube.delete_series(seen.row.id)
            case Step.AWAIT_DELETION:
                await self._until_deleted()
            case Step.UNREGISTER:
                await self._only_once(step)
                with self.progress("taken out", seen.known) as advance:
                    await self.cube.forget_files(kept, advance)
            case Step.LINK_BACK:
                await self._counted("linked back", seen.missing, partial(hold.link_back, seen.missing, kept))
            case Step.REGISTER:
                await self._register()
            case Step.REMOVE_LINKS:
                await self._remove_links(seen)
            case Step.UNMARK:
                await self._volume(hold.unmark)

    async def _link(self, seen: Seen) -> None:
        try:
            new = seen.unlinked
            await self._counted("linked", new, partial(self.hold.link, new, self.aim.kept))
        except OSError:  # some that we may not link: the series must not be refused for ever
            await self._undo(await self.look())
            raise

    async def _undo(self, seen: Seen) -> None:
        """Leave a series of which nothing was deleted as it was."""
        is_pending = seen.row is not None and seen.row.is_pending
        if seen.is_marked and not seen.missing and not is_pending:
            await self._remove_links(seen)
            await self._volume(self.hold.unmark)
            self.has_begun = False

    async def _only_once(self, step: Step) -> None:
        """Before CUBE is asked to delete: what it does not do then it will not do the next moment."""
        if step in self._replies:
            reply = self._replies[step]
            status = f" (it answered {reply.status})" if isinstance(reply, Answer) else ""
            raise OperatorError(f"CUBE did not delete it{status}", f"see CUBE's log; {AGAIN}", _FAILED)
        self._replies[step] = None
        self._has_waited = False
        await self._volume(self.hold.sync_links)

    async def _wait(self, seen: Seen) -> None:
        """Wait for caches and for CUBE; then as long as a receiver has a marker for a moment."""
        until = time.monotonic() + self.patience.pause(seen)
        with self.progress("waited, s", round(until - time.monotonic())) as advance:
            while (left := until - time.monotonic()) > 0:
                await asyncio.sleep(min(left, self.patience.poll))
                advance(1)
        self._has_waited = True
        hold = self.hold
        for _ in range(LOOKS):
            if not await self._volume(is_open, hold.spool, hold.pacs, hold.uid):
                return
            await asyncio.sleep(self.patience.poll)

    async def _until_deleted(self) -> None:
        self._has_waited = False
        until = time.monotonic() + self.patience.most
        with self.progress("waited for CUBE's worker, s", None) as advance:
            while (row := await self._row()) is not None and row.is_pending:
                if time.monotonic() > until:
                    what = f"CUBE has not deleted the series within {self.patience.most:g} s"
                    raise OperatorError(what, f"see docs/runbook.md#late-instances; {AGAIN}", _FAILED)
                await asyncio.sleep(self.patience.poll)
                advance(1)

    async def _register(self) -> None:
        """Register it as a registrar does; after what may pass everything is looked at again."""
        self._has_waited = False
        verdict = await register(self.cube.cube, self.hold, self.aim.folder)
        if verdict.outcome in SUCCESSES:
            return
        self._give_up_at = self._give_up_at or time.monotonic() + self.patience.most
        if verdict.outcome not in _PASSING or time.monotonic() > self._give_up_at:
            raise OperatorError(f"CUBE has not registered it: {verdict.reason}", AGAIN, _FAILED)
        await asyncio.sleep(self.patience.poll)

    async def _remove_links(self, seen: Seen) -> None:
        await self._volume(self.hold.sync_folder, self.aim.kept)
        await self._counted("links removed", seen.links, self.hold.remove_links)

    async def _counted(self, what: str, names: Sized, work: Callable[[Advance], None]) -> None:
        with self.progress(what, len(names)) as advance:
            await self._volume(work, advance)

    async def _volume(self, work: Callable[..., T], *given: Any) -> T:
        """Have something of the volume done, however long it takes as a whole."""
        return await of_volume(partial(work, *given), self.hold.pulse)
