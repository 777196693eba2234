"""Carries the steps of a healing out, one after the other, looking anew before each."""

import asyncio
import time
from collections.abc import Callable, Sized
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.cli.heal.hold import Advance, Hold
from lapidicom.cli.heal.in_cube import InCube
from lapidicom.cli.heal.plan import Aim, Row, Seen, Step, Stop, next_step
from lapidicom.cli.in_thread import Pulse, of_volume
from lapidicom.cli.reconcile.message import NoMessage, of_file
from lapidicom.common.messages import SeriesSettling
from lapidicom.common.open_series import is_open
from lapidicom.registrar.cube.mending import Unregistrable, series_request
from lapidicom.registrar.cube.outcomes import SUCCESSES, Outcome, Verdict
from lapidicom.registrar.cube.probe import trouble_with_series
from lapidicom.registrar.cube.replies import Answer, Reply
from lapidicom.registrar.cube.series_outcomes import SeriesKey
from lapidicom.registrar.series.folder import look
from lapidicom.registrar.series.gateway import SeriesGateway
from lapidicom.registrar.series.settling import Look

LOOKS: Final = 5
"""How often a series must be seen open: a receiver that meets the mark has its marker for a moment."""

AGAIN: Final = "nothing is lost: run it again"

_PASSING: Final = frozenset({Outcome.NOT_YET_VISIBLE, Outcome.HELD_UP, Outcome.OUTAGE, Outcome.RETRY})
_FAILED: Final = ExitStatus.FAILED


@dataclass(frozen=True)
class Patience:
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
    """

    hold: Hold
    aim: Aim
    cube: InCube
    patience: Patience
    progress: Callable[[str, int | None], AbstractContextManager[Advance]]
    tell: Callable[[Step], None]
    _has_waited: bool = False
    _replies: dict[Step, Reply | None] = field(default_factory=dict)
    _give_up_at: float = 0.0

    async def look(self) -> Seen:
        """See CUBE and the volume. CUBE's series first: once that is gone, so is all that CUBE knew of it."""
        row = await self._row()
        known = await self.cube.count(self.aim.kept)
        registered = await self.cube.count(self.aim.folder, fname_icontains=".dcm")
        return await of_volume(partial(self._seen, row, known, registered))

    async def run(self) -> Stop:
        """Do what is to be done, and say how it ended.

        Raises:
            OperatorError: it cannot go on now, or another run is at it.
            OSError: the volume does not do what it must.
        """
        try:
            await of_volume(self.hold.take)
            while not isinstance(step := next_step(seen := await self.look(), self.aim), Stop):
                self.tell(step)
                await self._do(step, seen)
                if step is Step.UNMARK:  # what comes from now on is another story
                    return Stop()
            if step.may_undo and seen.is_marked and not seen.missing:
                await self._remove_links(seen)
                await of_volume(self.hold.unmark)
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
            elsewhere=None if folder == kept else _look(hold, folder).count,
            row=row,
            known=known,
            registered=registered,
        )

    async def _do(self, step: Step, seen: Seen) -> None:
        hold, kept = self.hold, self.aim.kept
        match step:
            case Step.MARK:
                await of_volume(partial(hold.mark, self.aim))
            case Step.WAIT:
                await self._wait(seen)
            case Step.LINK:
                await self._counted("linked", seen.unlinked, partial(hold.link, seen.unlinked, kept))
            case Step.DELETE if seen.row is not None:
                self._only_once(step)
                await of_volume(hold.sync_links)
                self._replies[step] = await self.cube.cube.delete_series(seen.row.id)
            case Step.AWAIT_DELETION:
                await self._until_deleted()
            case Step.UNREGISTER:
                self._only_once(step)
                await of_volume(hold.sync_links)
                with self.progress("taken out", seen.known) as advance:
                    await self.cube.forget_files(kept, advance)
            case Step.LINK_BACK:
                await self._counted("linked back", seen.missing, partial(hold.link_back, seen.missing, kept))
            case Step.REGISTER:
                await self._register()
            case Step.REMOVE_LINKS:
                await self._remove_links(seen)
            case Step.UNMARK:
                await of_volume(hold.unmark)

    def _only_once(self, step: Step) -> None:
        """What CUBE does not delete when it is asked it will not delete the next moment."""
        if step in self._replies:
            reply = self._replies[step]
            status = f" (it answered {reply.status})" if isinstance(reply, Answer) else ""
            raise OperatorError(f"CUBE did not delete it{status}", f"see CUBE's log; {AGAIN}", _FAILED)
        self._replies[step] = None

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
            if not await of_volume(partial(is_open, hold.spool, hold.pacs, hold.uid)):
                return
            await asyncio.sleep(self.patience.poll)

    async def _until_deleted(self) -> None:
        self._has_waited = False
        until = time.monotonic() + self.patience.most
        with self.progress("waited for CUBE's worker, s", None) as advance:
            while (row := await self._row()) is not None and row.is_pending:
                if time.monotonic() > until:
                    what = f"CUBE has not deleted the series within {self.patience.most:g} s"
                    raise OperatorError(what, f"does CUBE's worker run? {AGAIN}", _FAILED)
                await asyncio.sleep(self.patience.poll)
                advance(1)

    async def _register(self) -> None:
        """Register it as a registrar does; after what may pass everything is looked at again."""
        self._has_waited = False
        verdict = await self._verdict()
        if verdict.outcome in SUCCESSES:
            return
        self._give_up_at = self._give_up_at or time.monotonic() + self.patience.most
        if verdict.outcome not in _PASSING or time.monotonic() > self._give_up_at:
            raise OperatorError(f"CUBE has not registered it: {verdict.reason}", AGAIN, _FAILED)
        await asyncio.sleep(self.patience.poll)

    async def _verdict(self) -> Verdict:
        hold, cube = self.hold, self.cube.cube
        series = SeriesKey(hold.pacs, hold.uid, self.aim.folder)

        async def looked(_: SeriesKey) -> Look:
            return await of_volume(partial(_look, hold, series.folder))

        message = await of_volume(partial(message_of, hold.root, series.folder, hold.uid))
        settled = await looked(series)
        request = series_request(message, settled.count)
        if isinstance(request, Unregistrable):
            return Verdict(Outcome.INVALID, f"unregistrable: {request.reason}")
        gateway = SeriesGateway(partial(trouble_with_series, cube), looked)
        return await gateway.register(cube, request, series, settled)

    async def _remove_links(self, seen: Seen) -> None:
        await of_volume(partial(self.hold.sync_folder, self.aim.kept))
        await self._counted("links removed", seen.links, self.hold.remove_links)

    async def _counted(self, what: str, names: Sized, work: Callable[[Advance], None]) -> None:
        pulse = Pulse()
        with self.progress(what, len(names)) as advance:
            await of_volume(partial(work, pulse.beating(advance)), pulse)


def _look(hold: Hold, folder: str) -> Look:
    return look(hold.root, hold.spool, hold.pacs, hold.uid, folder)


def message_of(root: Path, folder: str, uid: str) -> SeriesSettling:
    """The message that registers a series from a folder, as its first file has it.

    Raises:
        OperatorError: there is no such file, or it is of another series.
        OSError: the folder cannot be read.
    """
    for file in sorted((root / folder).glob("*.dcm")):
        try:
            message = of_file(root, f"{folder}/{file.name}").message
        except NoMessage:
            continue
        if message.SeriesInstanceUID == uid:
            return SeriesSettling.model_validate(message.model_dump() | {"folder": folder})
    raise OperatorError("no file of the folder is an instance of that series", "is it the right one?")
