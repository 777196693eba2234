"""A run of reconcile: folder by folder, in windows of bounded size, each settled before the next begins."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer
from aio_pika.abc import AbstractConnection

from lapidicom.cli.cube import Catalogue, Listing
from lapidicom.cli.dead_letters import look
from lapidicom.cli.filters import Since
from lapidicom.cli.in_flight import InFlight
from lapidicom.cli.in_thread import of_volume
from lapidicom.cli.output import Advance
from lapidicom.cli.queues import waiting
from lapidicom.cli.reconcile.fate import UNSETTLED, Fate, Missing
from lapidicom.cli.reconcile.findings import Findings
from lapidicom.cli.reconcile.journals import attach, look_for_vanished
from lapidicom.cli.reconcile.message import NoMessage, message_of, of_file
from lapidicom.cli.reconcile.resume import State, write_state
from lapidicom.cli.reconcile.volume import SeriesFolder, series_folders
from lapidicom.cli.shell import Because, DryRun, Shell, Yes
from lapidicom.cli.survey import read_journals
from lapidicom.cli.third_count import Pacs, series_counts
from lapidicom.cli.times import parse_rate, parse_time
from lapidicom.common.broker import Envelope
from lapidicom.common.c_find import NoCount

WINDOW: Final = 5_000
"""Missing files that are settled together: the journals are read once for each window."""

IN_FLIGHT: Final = 100
"""Messages on their way at once."""

LOOK_SECONDS: Final = 0.25
"""Between two looks at whether messages wait."""

_OVER: Final = SeriesFolder("", {})
"""Ends a walk."""


@dataclass(frozen=True)
class Options:
    """What the operator has asked for."""

    since: Since = None
    pacs: Annotated[str | None, typer.Option(help="Only of this PACS, a folder of SERVICES/PACS.")] = None
    older_than: Annotated[
        datetime, typer.Option(parser=parse_time, metavar="TIME", help="Leave alone what is younger.")
    ] = "5m"  # type: ignore[assignment]
    dry_run: DryRun = False
    yes: Yes = False
    at_most: Annotated[
        int, typer.Option(min=1, help="Registrations that --yes enqueues; more may mean a wrong CHRIS_URL.")
    ] = 1000
    rate: Annotated[
        float, typer.Option(parser=parse_rate, metavar="RATE", help="Questions to CUBE a second, at most.")
    ] = 20.0
    even_if_waiting: Annotated[
        bool, typer.Option("--even-if-waiting", help="Enqueue although the same messages may be waiting.")
    ] = False
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for a moment in which no message waits.")
    ] = 5.0
    source: Annotated[
        bool, typer.Option("--source", help="Ask CHRIS_PACS_ADDRESS, too: which series never came whole.")
    ] = False
    state: Annotated[
        Path | None, typer.Option(help="A file: keep in it how far it is; if it exists, go on from there.")
    ] = None
    because: Because = ""


@dataclass
class Run:
    """One run: `findings` is kept up to date, and `state` says how far everything is settled."""

    shell: Shell
    options: Options
    root: Path
    spool: Path
    cube: Catalogue
    state: State
    findings: Findings

    def __post_init__(self) -> None:
        """Begin where the run before has ended."""
        options = self.options
        self._after, self.findings.left_before = self.state.folder, self.state.left
        self._since = options.since.timestamp() if options.since else 0.0
        self._is_settled, self._may_ask = True, not options.dry_run
        self._source = Pacs(self.shell.settings) if options.source else None

    async def run(self) -> None:
        """Look at everything, and enqueue what is lost.

        Raises:
            OperatorError: CUBE went away.
            BrokerError: RabbitMQ did; what was confirmed is counted, and another run finds the rest.
            OSError: volume or journals cannot be read.
        """
        options, output = self.options, self.shell.output
        look_for = partial(
            look_for_vanished,
            root=self.root,
            pacs=options.pacs,
            since=options.since,
            until=options.older_than,
            add=partial(self.findings.add, self.findings.in_journal_without_file),
        )
        await read_journals(output, self.spool, look_for)
        folders, is_over = self._walk(), False
        while not is_over:
            window: dict[str, Missing] = {}
            with output.progress("series folders", None) as advance:
                is_over = await self._fill(window, folders, advance)
            if window:
                await self._settle(window)
            self._note_progress()
        if self._is_settled and options.state is not None:
            options.state.unlink(missing_ok=True)

    def _note_progress(self) -> None:
        """The next run begins at the first folder in which something was left that may still be enqueued."""
        if self._is_settled and self.options.state is not None and self._after != self.state.folder:
            self.state = self.state.at(self._after, self.findings.unsound)
            write_state(self.options.state, self.state)

    async def _walk(self) -> AsyncIterator[SeriesFolder]:
        steps = series_folders(self.root, pacs=self.options.pacs, since=self._since, after=self._after)
        while (folder := await of_volume(partial(next, steps, _OVER))) is not _OVER:
            if folder is not None:
                yield folder

    async def _fill(
        self, window: dict[str, Missing], folders: AsyncIterator[SeriesFolder], advance: Advance
    ) -> bool:
        """Look at folders until enough is missing; whether there are no more."""
        async for folder in folders:
            await self._compare(folder, window)
            self._after = folder.path
            advance(1)
            if len(window) >= WINDOW:
                return False
            if not window:
                self._note_progress()
        return True

    async def _compare(self, folder: SeriesFolder, window: dict[str, Missing]) -> None:
        """Ask CUBE for the rows of one folder; of paths that are not UTF-8 it can have none."""
        findings, cube = self.findings, self.cube
        findings.folders += 1
        unreadable = findings.not_in_cube[Fate.UNREADABLE]
        if folder.fault:
            findings.add(unreadable, folder.path, folder.fault)
            return
        listing = await cube.list(fname=f"{folder.path}/") if _is_utf_8(folder.path) else Listing()
        findings.not_on_volume.unnamed += listing.unlistable
        is_late = cube.is_of_series and bool(listing.files or listing.unlistable)
        for name, modified in folder.files.items():
            path = f"{folder.path}/{name}"
            if modified < self._since:
                continue
            findings.files += 1
            if not _is_utf_8(path):
                findings.add(unreadable, path, "its path is not UTF-8")
            elif path in listing.files or (listing.unlistable and await cube.is_registered(path)):
                findings.registered += 1
            else:
                window[path] = Missing(path, modified, is_late=is_late)
        if self._source is not None and folder.files:
            await self._ask_source(self._source, folder, listing)
        for path in listing.files.keys() - {f"{folder.path}/{name}" for name in folder.files}:
            if not await of_volume((self.root / path).exists):
                findings.add(findings.not_on_volume, path)

    async def _ask_source(self, source: Pacs, folder: SeriesFolder, listing: Listing) -> None:
        """Set what the PACS has beside what came; what is younger than --older-than may be coming still.

        CUBE is asked for the series where too little came: another identity of it has another folder.
        """
        if max(folder.files.values()) > self.options.older_than.timestamp():
            return
        row = next(iter(listing.files.values()), None)
        study, series = (row.study_uid, row.series_uid) if row is not None else ("", "")
        if not (study and series):
            first = f"{folder.path}/{next(iter(folder.files))}"
            with suppress(NoMessage, OSError, UnicodeError):
                found = await of_volume(partial(of_file, self.root, first))
                study, series = found.StudyInstanceUID, found.SeriesInstanceUID
        if not (study and series):
            return
        pacs, volume, cube = folder.pacs_name, len(folder.files), len(listing.files) + listing.unlistable
        answer = await source.of_series(pacs, study, series)
        if not isinstance(answer, NoCount) and max(volume, cube) < answer:
            cube = await self.cube.count(pacs_identifier=pacs, SeriesInstanceUID=series)
        self.findings.add_series(series_counts(pacs, study, series, answer, volume, cube), answer)

    async def _settle(self, window: Mapping[str, Missing]) -> None:
        """Find out why each is missing, note it, and enqueue what is lost."""
        await read_journals(self.shell.output, self.spool, partial(attach, window=window))
        folders: dict[str, list[Missing]] = {}
        for missing in window.values():
            folders.setdefault(missing.path.rpartition("/")[0], []).append(missing)
        async with self.shell.connection() as link:
            async with look(link) as letters:
                async for letter, _ in letters:
                    if self.cube.is_of_series and letter.is_of_series:
                        about = folders.get(letter.path, ())
                    else:
                        about = [window[letter.path]] if letter.path in window else ()
                    for missing in about:
                        missing.letter = (letter.id, letter.reason)
            may_wait = not self.options.even_if_waiting and await self._may_wait(link)
        lost: list[Envelope] = []
        for missing in window.values():
            fate = missing.fate(settled_before=self.options.older_than.timestamp(), may_wait=may_wait)
            why = ""
            if fate is Fate.DEAD_LETTER and missing.letter:
                why = f"{missing.letter[1]} ({missing.letter[0]})"
            elif fate in {Fate.LOST, Fate.LATE}:
                why = "no journal tells of it" if missing.record is None else ""
                try:
                    message = await of_volume(partial(message_of, self.root, missing, self.findings.run))
                    if fate is Fate.LATE:
                        why = f"of series {json.loads(message.body)['SeriesInstanceUID']}"
                    else:
                        lost.append(message)
                except NoMessage as error:
                    fate, why = Fate.UNREADABLE, str(error)
                except FileNotFoundError:
                    continue  # removed meanwhile: no file is missing in CUBE
                except PermissionError:
                    fate, why = Fate.UNREADABLE, "it may not be read from here"
            self.findings.add(self.findings.not_in_cube[fate], missing.path, why)
            self._is_settled &= fate not in UNSETTLED
        if lost:
            self._may_ask = self._may_ask and await self._may_enqueue(len(lost))
            self._is_settled &= self._may_ask
            if self._may_ask:
                await self._enqueue(lost)

    async def _may_wait(self, link: AbstractConnection) -> bool:
        """Whether messages wait at each look: one moment without any is enough, for ours are older."""
        settings = self.shell.settings
        until = time.monotonic() + self.options.wait
        while (await waiting(link, (*settings.retry_delays, settings.park_delay))).total:
            if time.monotonic() >= until:
                return True
            await asyncio.sleep(LOOK_SECONDS)
        return False

    async def _may_enqueue(self, count: int) -> bool:
        """Ask the operator. After a no the rest is only looked at, and the next run looks at it again."""
        found, at_most = self.findings, self.options.at_most
        known = f"CUBE has {found.registered} of the {found.files} instances looked at so far"
        if not self.options.yes:
            return await self.shell.is_wanted(f"{known}. Enqueue {count} registrations?")
        if found.enqueued + count <= at_most:
            return True
        self.shell.output.warn(
            f"{count} registrations are lost, {found.enqueued} were enqueued before: more than --at-most "
            f"{at_most}, so that no more are enqueued. {known}: if this is the right CUBE and the right "
            "volume, give a higher --at-most"
        )
        return False

    async def _enqueue(self, lost: Sequence[Envelope]) -> None:
        """Publish, confirmed and within the audit; those of one series folder stand together."""
        findings, options = self.findings, self.options
        before, what = findings.enqueued, f"run {findings.run} --pacs {options.pacs} --since {options.since}"
        async with (
            self.shell.publishing() as publisher,
            self.shell.audited(options.because, what, len(lost)) as after,
        ):
            with self.shell.output.progress("enqueued", len(lost)) as advance:

                async def publish(envelope: Envelope) -> None:
                    await publisher.publish(envelope)
                    findings.enqueued += 1
                    advance(1)

                try:
                    async with InFlight(IN_FLIGHT) as flight:
                        for envelope in lost:
                            await flight.start(publish, envelope)
                finally:
                    after.update(run=findings.run, enqueued=findings.enqueued - before)


def _is_utf_8(path: str) -> bool:
    """Whether CUBE could have such a path; what is not comes from a scandir with surrogates in its place."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
