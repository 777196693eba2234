"""A run of reconcile: folder by folder, in windows of bounded size, each settled before the next begins."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, aclosing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from aio_pika.abc import AbstractConnection

from lapidicom.cli.cube import Catalogue, Listing
from lapidicom.cli.dead_letters import look
from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.cli.in_thread import Pulse, of_volume
from lapidicom.cli.output import Advance
from lapidicom.cli.queues import waiting
from lapidicom.cli.reconcile import journals
from lapidicom.cli.reconcile.enqueueing import Enqueueing
from lapidicom.cli.reconcile.findings import UNSETTLED, Fate, Findings, Missing
from lapidicom.cli.reconcile.journals import Scope, VanishedFiles
from lapidicom.cli.reconcile.message import NoMessage, Registration, message_of
from lapidicom.cli.reconcile.resume import StateFile
from lapidicom.cli.reconcile.volume import PROGRESS_FILES, SeriesFolder, series_folders
from lapidicom.common.instance.path import PACS_ROOT

WINDOW: Final = 5_000
"""Missing files that are settled together: the journals are read once for each window."""

_LOOK_SECONDS: Final = 0.25
_OVER: Final = SeriesFolder("", {})
"""Ends a walk."""

OTHER_PACS: Final = "other PACS"
"""Stands for all PACS that have no folder on the volume."""

Progress = Callable[[str, int | None], AbstractContextManager[Advance]]


@dataclass(frozen=True)
class Options:
    """What the operator has asked for.

    Attributes:
        pacs: only this PACS.
        since: only what was received since then.
        settled_before: what was received later is left alone.
        dry_run: tell, and do nothing.
        even_if_waiting: enqueue although messages wait that may be the very ones.
        wait_seconds: for a moment in which no message waits.
    """

    pacs: str | None
    since: datetime | None
    settled_before: datetime
    dry_run: bool
    even_if_waiting: bool
    wait_seconds: float


@dataclass(frozen=True)
class Sources:
    """What a run looks at.

    Attributes:
        root: CUBE's storage root, as we see it.
        spool: the receivers' spool; None: there are no journals to read.
        cube: CUBE's registered files.
        connection: makes a connection to RabbitMQ; none is held while volume and CUBE are looked at.
        delays: seconds of the delay queues.
    """

    root: Path
    spool: Path | None
    cube: Catalogue
    connection: Callable[[], AbstractAsyncContextManager[AbstractConnection]]
    delays: tuple[int, ...]


class Run:
    """One run.

    Args:
        sources: what it looks at.
        options: of the operator.
        state: how far everything is settled.
        enqueueing: publishes.
        may_enqueue: asks the operator, given what was found so far and how many more are lost. After a no
            the rest is only looked at, and what was left is looked at again by the next run.
        progress: shows how far it is.
        window: missing files that are settled together.
    """

    def __init__(
        self,
        sources: Sources,
        options: Options,
        state: StateFile,
        enqueueing: Enqueueing,
        may_enqueue: Callable[[Findings, int], bool],
        progress: Progress,
        *,
        window: int = WINDOW,
    ) -> None:
        self.findings = Findings()
        self._sources = sources
        self._options = options
        self._state = state
        self._enqueueing = enqueueing
        self._may_enqueue = may_enqueue
        self._progress = progress
        self._window_size = window
        self._after, self.findings.left_before = state.after, state.state.left
        self._is_whole = not self._after and options.since is None
        self._pacs = ""
        self._rows_of_pacs = self._rows_elsewhere = 0
        self._is_settled = self._may_ask = True
        scope = Scope(sources.root, options.pacs, options.since)
        self._vanished: VanishedFiles | None = VanishedFiles(scope, options.settled_before)

    async def run(self) -> Findings:
        """Look at everything, and enqueue what is lost.

        Raises:
            OperatorError: CUBE went away.
            BrokerError: RabbitMQ did.
            OSError: volume or journals cannot be read.
        """
        await self._enter_root()
        folders, is_over = self._walk(), False
        while not is_over:
            window: dict[str, Missing] = {}
            with self._progress("series folders", None) as advance:
                is_over = await self._fill(window, folders, advance)
            await self._settle(window)
            self._note_progress()
        if self._rows_elsewhere > 0:
            self.findings.rows_elsewhere[OTHER_PACS] = self._rows_elsewhere
        if self._is_settled:
            self._state.remove()
        return self.findings

    def _note_progress(self) -> None:
        """The next run begins at the first folder in which something was left that may still be enqueued."""
        if self._is_settled:
            self._state.write(self._after, self.findings.unsound)

    async def _walk(self) -> AsyncIterator[SeriesFolder]:
        options = self._options
        since = options.since.timestamp() if options.since else 0.0
        steps = series_folders(self._sources.root, pacs=options.pacs, since=since, after=self._after)
        while (folder := await of_volume(partial(next, steps, _OVER))) is not _OVER:
            if folder is not None:
                yield folder

    async def _fill(
        self, window: dict[str, Missing], folders: AsyncIterator[SeriesFolder], advance: Advance
    ) -> bool:
        """Look at folders until enough is missing; whether there are no more."""
        async for folder in folders:
            await self._enter_pacs(folder.pacs_name)
            await self._compare(folder, window)
            self._after = folder.path
            advance(1)
            if len(window) >= self._window_size:
                return False
            if not window:
                self._note_progress()
        await self._enter_pacs("")
        return True

    async def _enter_root(self) -> None:
        """Count the rows of all PACS, or see that there is such a PACS: else nothing seems to be missing."""
        pacs, cube = self._options.pacs, self._sources.cube
        if pacs is not None and not await of_volume((self._sources.root / PACS_ROOT / pacs).is_dir):
            rows = await cube.count(fname=f"{PACS_ROOT}/{pacs}/")
            if not rows:
                raise OperatorError(
                    f"there is no folder {pacs} below {PACS_ROOT}, and CUBE has no file there",
                    "give --pacs as it stands in paths",
                    ExitStatus.UNUSABLE,
                )
            self.findings.rows_elsewhere[pacs] = rows
        elif pacs is None and self._is_whole:
            all_rows = await cube.count(fname=f"{PACS_ROOT}/")
            self._rows_elsewhere = all_rows - await cube.count(fname=f"{PACS_ROOT}/{PROGRESS_FILES}/")

    async def _enter_pacs(self, name: str) -> None:
        """Count a PACS' rows before its folders are looked at: later rows must not seem to be elsewhere."""
        if name == self._pacs or not self._is_whole:
            return
        if self._pacs and self._rows_of_pacs > 0:
            self.findings.rows_elsewhere[self._pacs] = self._rows_of_pacs
        self._pacs = name
        self._rows_of_pacs = (
            await self._sources.cube.count(fname=f"{PACS_ROOT}/{name}/") if name and is_utf_8(name) else 0
        )
        self._rows_elsewhere -= self._rows_of_pacs

    async def _compare(self, folder: SeriesFolder, window: dict[str, Missing]) -> None:
        """Ask CUBE for the rows of one folder; of paths that are not UTF-8 it can have none."""
        findings = self.findings
        findings.folders += 1
        unnamed = findings.missing[Fate.UNREADABLE]
        if folder.fault:
            unnamed.add(folder.path, folder.fault)
            return
        listing = Listing()
        if is_utf_8(folder.path):
            listing = await self._sources.cube.list(fname=f"{folder.path}/")
        self._rows_of_pacs -= len(listing.files) + listing.unlistable
        findings.lost_by_cube += listing.unlistable
        since = self._options.since.timestamp() if self._options.since else 0.0
        for name, file in folder.files.items():
            path = f"{folder.path}/{name}"
            if file.modified < since:
                continue
            findings.files += 1
            if not is_utf_8(path):
                unnamed.add(path, "its path is not UTF-8")
            elif path in listing.files or (
                listing.unlistable and await self._sources.cube.is_registered(path)
            ):
                findings.registered += 1
            else:
                window[path] = Missing(path, file.modified)
        for path in listing.files.keys() - {f"{folder.path}/{name}" for name in folder.files}:
            if not await of_volume((self._sources.root / path).exists):
                findings.only_in_cube.add(path)

    async def _settle(self, window: dict[str, Missing]) -> None:
        """Find out why each is missing, tell it, and enqueue what is lost."""
        await self._read_journals(window)
        if not window:
            return
        async with self._sources.connection() as link:
            await _read_letters(link, window)
            may_wait = not self._options.even_if_waiting and await self._may_wait(link)
        lost: list[Registration] = []
        settled_before = self._options.settled_before.timestamp()
        for missing in window.values():
            if missing.judge(settled_before=settled_before, may_wait=may_wait) is Fate.LOST:
                made = await self._make(missing)
                if made is not None:
                    lost.append(made)
        self.findings.note(window.values())
        self._may_ask = (
            self._may_ask
            and not self._options.dry_run
            and (not lost or self._may_enqueue(self.findings, len(lost)))
        )
        if lost and self._may_ask:
            with self._progress("enqueued", len(lost)) as advance:
                await self._enqueueing.enqueue(lost, self._sources.cube, self.findings, advance)
        elif lost:
            self._is_settled = False
        self._is_settled &= all(one.fate not in UNSETTLED for one in window.values())

    async def _read_journals(self, window: Mapping[str, Missing]) -> None:
        """Once for each window; the first time all records are looked at."""
        spool, pulse = self._sources.spool, Pulse()
        if spool is None or not (window or self._vanished):
            return
        with self._progress("reading journals", await of_volume(partial(journals.size, spool))) as advance:
            on_read = pulse.beating(advance)
            await of_volume(partial(journals.attach, spool, window, self._vanished, on_read), pulse)
        if self._vanished is not None:
            self.findings.only_in_journal = self._vanished.found
            self._vanished = None

    async def _make(self, missing: Missing) -> Registration | None:
        missing.why = "no journal tells of it" if missing.record is None else ""
        try:
            return await of_volume(partial(message_of, self._sources.root, missing))
        except NoMessage as error:
            missing.fate, missing.why = Fate.UNREADABLE, str(error)
        except FileNotFoundError:
            missing.fate = None  # removed meanwhile: no file is missing in CUBE
        except PermissionError:
            missing.fate, missing.why = Fate.UNREADABLE, "it may not be read from here"
        return None

    async def _may_wait(self, link: AbstractConnection) -> bool:
        """Whether messages wait at each look: one moment without any is enough, for ours are older."""
        until = time.monotonic() + self._options.wait_seconds
        while (await waiting(link, self._sources.delays)).total:
            if time.monotonic() >= until:
                return True
            await asyncio.sleep(_LOOK_SECONDS)
        return False


def is_utf_8(path: str) -> bool:
    """Whether CUBE could have such a path; what is not comes from a scandir with surrogates in its place."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


async def _read_letters(link: AbstractConnection, window: Mapping[str, Missing]) -> None:
    async with aclosing(look(link)) as letters:
        async for letter, _ in letters:
            missing = window.get(letter.path)
            if missing is not None:
                missing.letter = (letter.id, letter.reason)
