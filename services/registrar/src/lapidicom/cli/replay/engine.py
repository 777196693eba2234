"""The replay itself: record, publish confirmed, acknowledge; cancel and close at the end.

At every moment a message is in the work path or a dead letter: it is acknowledged only behind the
confirm of its publication. What is under way when the operator interrupts is ended first.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar, assert_never

from aio_pika.abc import AbstractConnection

from lapidicom.cli.connection import operator
from lapidicom.cli.dead_letters.letter import read_letter
from lapidicom.cli.dead_letters.reading import Held, Reading, depth_of, reading
from lapidicom.cli.replay.pace import Pace
from lapidicom.cli.replay.records import Record, Records
from lapidicom.cli.replay.selection import Leave, Merge, Seen, Selection, Send
from lapidicom.common.broker import Publisher
from lapidicom.common.topology import DEAD_LETTER_QUEUE

T = TypeVar("T")

HELD = 1000
"""Letters that one consumer may hold: bounds the memory, however many are passed over."""

Sent = Callable[[Sequence[Send]], None]


@dataclass
class Progress:
    """How far a replay has come.

    Attributes:
        sent: replayed: in the work queue, and no dead letters any more.
        merged: further copies, taken out with their first.
        new: dead letters that came since the start, as far as is known.
        is_stopped: it stopped by itself because too many came.
        copies: names of the copies that were taken out, where a record names them.
    """

    sent: int = 0
    merged: int = 0
    new: int = 0
    is_stopped: bool = False
    copies: set[str] = field(default_factory=set)


class Replay:
    """A replay, under the lock of the dead letters.

    Args:
        link: the connection that has the lock.
        publisher: on another connection.
        records: held.
        selection: has seen the letters once.
        replay: its id.
        seen: what it saw.
        pace: how fast.
        on_sent: hears of each batch that is sent.
    """

    def __init__(
        self,
        link: AbstractConnection,
        publisher: Publisher,
        records: Records,
        selection: Selection,
        replay: str,
        seen: Seen,
        pace: Pace,
        on_sent: Sent,
    ) -> None:
        self._link = link
        self._publisher = publisher
        self._records = records
        self._selection = selection
        self._replay = replay
        self._letters = seen.letters
        self._wanted = seen.selected + seen.copies
        self._pace = pace
        self._on_sent = on_sent
        self._interrupted = frozenset(copy for record in records.interrupted for copy in record.letters)
        self._excused = 0
        self.progress = Progress()

    @property
    def remaining(self) -> int:
        """Of the letters that there were at the start, how many are dead letters still."""
        return self._letters - self.progress.sent - self.progress.merged

    async def run(self, limit: int | None = None) -> None:
        """Replay, up to `limit` messages; call it again for the rest.

        Raises:
            BrokerError: the connection ended, or the broker takes no message; `progress` is right all
                the same, and what is in doubt stands in an open record.
        """
        goal = None if limit is None else self.progress.sent + limit
        self.progress.is_stopped = False
        over = False
        while not over:
            try:
                over = await self._session(goal)
            except asyncio.CancelledError:
                await self._records.end()
                raise
            await self._records.end()  # behind the closing cancel the acknowledgements are safe

    def excuse(self, new: int) -> None:
        """So many of the new dead letters have nothing to do with this replay."""
        self._excused = new

    async def _session(self, goal: int | None) -> bool:
        """Walk through what remains; false if the letters were only given back for a moment."""
        loop = asyncio.get_running_loop()
        began, before = loop.time(), self.progress.sent
        async with reading(self._link, DEAD_LETTER_QUEUE, most=HELD, reserve=HELD // 2) as letters:
            over, remaining = False, self.remaining
            while True:
                most = self._pace.in_flight
                if goal is not None:
                    most = min(most, goal - self.progress.sent)
                sends, merges, over = await self._gather(letters, remaining, most)
                await _to_its_end(self._send(sends, merges))
                over |= self._is_done(goal)
                await self._look_for_new(letters, remaining)
                if over or self.progress.is_stopped:
                    return True
                due = began + self._pace.due(self.progress.sent - before)
                await asyncio.sleep(max(0.0, due - loop.time()))
                if loop.time() >= began + self._pace.held_seconds:
                    return False

    def _is_done(self, goal: int | None) -> bool:
        done = self.progress.sent + self.progress.merged
        return done >= self._wanted or (goal is not None and self.progress.sent >= goal)

    async def _gather(
        self, letters: Reading, remaining: int, most: int
    ) -> tuple[list[tuple[Held, Send]], list[Held], bool]:
        """The next batch, and whether it is the last one."""
        sends: list[tuple[Held, Send]] = []
        merges: list[Held] = []
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        while len(sends) < most and letters.received < remaining:
            held = await letters.next(5.0)
            if held is None:
                return sends, merges, True
            choice = self._selection.choose(read_letter(held.body, held.properties), now)
            match choice:
                case Send():
                    sends.append((held, choice))
                case Merge():
                    merges.append(held)
                case Leave():
                    pass
                case _:
                    assert_never(choice)
        return sends, merges, letters.received >= remaining

    async def _send(self, sends: Sequence[tuple[Held, Send]], merges: Sequence[Held]) -> None:
        if sends:
            when = datetime.now(UTC).isoformat(timespec="milliseconds")
            copies = tuple(send.copy for _, send in sends)
            await self._records.begin(Record(self._replay, operator(), when, copies))
            results = await asyncio.gather(
                *(self._publisher.publish(send.envelope) for _, send in sends), return_exceptions=True
            )
            done = [pair for pair, result in zip(sends, results, strict=True) if result is None]
            for number, (held, send) in enumerate(done, 1):
                await held.ack(wait=number == len(done))
                self.progress.sent += 1
                self._note(send.copy)
            self._on_sent([send for _, send in done])
            for result in results:
                if result is not None:
                    raise result
        for held in merges:
            await held.ack()
            self.progress.merged += 1
            self._note(read_letter(held.body, held.properties).message_id)

    def _note(self, copy: str) -> None:
        if copy in self._interrupted:
            self.progress.copies.add(copy)

    async def _look_for_new(self, letters: Reading, remaining: int) -> None:
        """New dead letters stand behind all that is read here: they show in the depth alone.

        What is on its way to us is counted as ready no more: too few new ones may be seen, never too many.
        """
        arrived = letters.arrived
        ready = await depth_of(self._link, DEAD_LETTER_QUEUE)
        self.progress.new = max(self.progress.new, ready - (remaining - arrived))
        self.progress.is_stopped |= self._pace.stops_at(self.progress.new - self._excused)


async def _to_its_end(work: Awaitable[T]) -> T:
    """Await what an interruption must not cut; its error, or the interruption, is raised behind it."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        task.result()
        raise
