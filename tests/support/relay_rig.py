"""A relay without a process: driven step by step, by a clock that the test moves, into a fake publisher."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from lapidicom.common.broker import BrokerError, Envelope
from lapidicom.common.file_system import FileSystem
from lapidicom.common.journal.reader import JournalFolder
from lapidicom.receiver.relay.behind_mark import StoredFiles
from lapidicom.receiver.relay.follower import Follower
from lapidicom.receiver.relay.journals import Journals, RelayIdentity
from lapidicom.receiver.relay.progress import AskPacs, ProgressFiles, SeriesProgress
from lapidicom.receiver.relay.publish import JournalPublisher
from lapidicom.receiver.relay.reader import RelayCounts
from lapidicom.receiver.relay.retention import Retention
from lapidicom.receiver.relay.spool_sweep import SpoolSweep

T = TypeVar("T")

_NUMBERS = itertools.count(1)
_MOST_PASSES = 10_000


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Seconds."""
        return self.now


class Publishes(Protocol):
    """A publisher, real or fake."""

    async def publish(self, envelope: Envelope) -> None:
        """Publish."""


async def at_once(function: Callable[[], T], /) -> T:
    """Runs what the product gives to a thread."""
    return function()


class RelayRig:
    """One relay.

    Args:
        root: CUBE's storage root; the spool is `.lapidicom` in it.
        publisher: takes the messages.
        clock: of the relay, and of the retention.
        file_system: the system calls.
        parent: its supervisor; journals with the same are its own.
        receiver_id: CHRIS_RECEIVER_ID.
        takeover: CHRIS_JOURNAL_TAKEOVER.
        days: CHRIS_JOURNAL_DAYS for journals.
        unused_days: likewise, for what series leave in the spool.
        min_free_space: CHRIS_MIN_FREE_SPACE.
        directory_cache: seconds for which the volume may hide what another client has made.
        space: of progress files; empty: none are written, and nobody is asked.
        ask: stands for the PACS.
    """

    def __init__(
        self,
        root: Path,
        publisher: Publishes,
        clock: Clock,
        *,
        file_system: FileSystem | None = None,
        parent: str = "supervisor-1",
        receiver_id: str = "receiver-1",
        takeover: float = 120.0,
        days: float = 7.0,
        unused_days: float = 7.0,
        min_free_space: int = 0,
        directory_cache: float = 0.0,
        space: str = "",
        ask: AskPacs | None = None,
    ) -> None:
        fs = file_system or FileSystem()
        self.publisher = publisher
        self.clock = clock
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.counts = RelayCounts()
        identity = RelayIdentity(f"{next(_NUMBERS):032x}", receiver_id, parent)
        files = StoredFiles(fs, root, directory_cache=directory_cache)
        spool = root / ".lapidicom"
        progress = None
        if ask is not None:
            progress = SeriesProgress(space, ProgressFiles(fs, root, files, self._observe), ask, at_once)

        self.sweep = SpoolSweep(fs, spool, days=unused_days, now=clock)

        def follower(folder: JournalFolder, life: str, name: str) -> Follower:
            return Follower(
                folder,
                life,
                files,
                f"{spool}/incoming/{name}",
                self.sweep,
                relay_id=identity.relay_id,
                counts=self.counts,
                observe=self._observe,
                offload=at_once,
                clock=clock,
                progress=progress,
            )

        self.journals = Journals(
            fs,
            spool,
            identity,
            takeover=takeover,
            clock=clock,
            make_follower=follower,
            observe=self._observe,
        )
        self.retention = Retention(
            fs, root, spool, days=days, min_free_space=min_free_space, now=clock, observe=self._observe
        )
        self.relay = JournalPublisher(
            self.journals,
            self.retention,
            self.sweep,
            takeover=takeover,
            observe=self._observe,
            offload=at_once,
            clock=clock,
        )

    def _observe(self, event: str, /, **fields: object) -> None:
        self.events.append((event, fields))

    @property
    def event_names(self) -> list[str]:
        """The events so far."""
        return [event for event, _ in self.events]

    def work(self, run: Callable[[Awaitable[None]], object] | None = None) -> None:
        """Look at the volume, and publish until nothing is left; broker errors make it go back."""
        self.journals.look()
        (run or asyncio.run)(self._work())
        self.journals.write_cursors()

    async def _work(self) -> None:
        for _ in range(_MOST_PASSES):
            try:
                if not await self.relay.pass_over(self.publisher):
                    return
            except BrokerError:
                continue
        raise AssertionError("the relay finds no rest")

    def try_once(self) -> None:
        """One pass, whose broker error is raised."""
        self.journals.look()
        asyncio.run(self.relay.pass_over(self.publisher))

    def retain(self) -> None:
        """Delete what may be deleted."""
        self.retention.run(self.relay.candidates())
        self.journals.look()
        self.relay.sweep()()

    def end(self) -> None:
        """End in good order."""
        self.journals.close()
