"""Sends dead letters back to work: publish, confirmed, then acknowledge; and asks what became of them.

At every moment a message is in the work path or a dead letter. A crash between the confirm and the
acknowledgement leaves it in both, and a registration that comes twice ends in one. What is under way when
the operator interrupts is ended first.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from aio_pika.abc import AbstractConnection

from lapidicom.cli.letter import DeadLetter, read_letter
from lapidicom.cli.queues import Held, Reading, reading, ready
from lapidicom.common.broker import Envelope, Publisher
from lapidicom.common.messages import InstanceStored
from lapidicom.common.topology import DEAD_LETTER_QUEUE

T = TypeVar("T")
Chosen = tuple[Held, DeadLetter, Envelope]

HELD: Final = 1000
"""Letters that one consumer may hold: bounds the memory, however many are passed over."""

BATCH: Final = 200
"""Messages in flight at once; also the most that a crash leaves in both places."""

HELD_SECONDS: Final = 600.0
"""After so long letters are given back and taken again: RabbitMQ lets nobody hold one for 30 min."""

POLL_SECONDS: Final = 0.5
ASKED_AT_ONCE: Final = 50
"""Paths asked for between two looks at the dead letters."""


class AsksByPath(Protocol):
    """CUBE, as far as it is needed here."""

    async def is_registered(self, path: str) -> bool:
        """Whether exactly this path is registered."""


@dataclass
class Sent:
    """What became of the messages of one replay.

    Attributes:
        sent: replayed: in the work queue, and no dead letters any more.
        waiting: paths by id, of those whose end is not known yet.
        registered: how many are registered.
        returned: reasons by id, of those that are dead letters again.
        no_files: how many register nothing, so that CUBE cannot tell.
    """

    sent: int = 0
    waiting: dict[str, str] = field(default_factory=dict)
    registered: int = 0
    returned: dict[str, str] = field(default_factory=dict)
    no_files: int = 0

    @property
    def reasons(self) -> Counter[str]:
        """Why they came back, with counts."""
        return Counter(self.returned.values())

    def came_back(self, returned: dict[str, str]) -> None:
        """These are, or were, dead letters with the replay's id."""
        self.returned |= returned
        for name in returned:
            self.waiting.pop(name, None)


@dataclass
class Sending:
    """Walks through the dead letters under the lock, and sends those that are chosen.

    Attributes:
        link: the connection that has the lock.
        publisher: on another connection.
        choose: what is sent in place of a letter; None leaves it as it is. Asked in their order.
        letters: how many dead letters there were at the start.
        wanted: how many of them `choose` will take.
        rate: messages a second; 0 for as fast as RabbitMQ takes them.
        on_sent: hears how many more are sent.
        expects: whether the outcome of what is sent will be asked for.
        done: what became of them.
        new: dead letters that came since the start, as far as is known.
    """

    link: AbstractConnection
    publisher: Publisher
    choose: Callable[[DeadLetter], Envelope | None]
    letters: int
    wanted: int
    rate: float
    on_sent: Callable[[int], None]
    expects: bool = True
    done: Sent = field(default_factory=Sent)
    new: int = 0

    @property
    def in_flight(self) -> int:
        """Messages of one batch: with a rate no more than it gives in a second."""
        return max(1, min(BATCH, int(self.rate))) if self.rate else BATCH

    async def run(self, first: int = 0, stop_at: int | None = None) -> None:
        """Send; call it again for the rest.

        Args:
            first: no more than so many now; 0 for all.
            stop_at: stop when so many new dead letters have come.

        Raises:
            BrokerError: the connection ended, or the broker takes no message; `done` is right all the same.
        """
        goal = self.done.sent + first if first else None
        while not await self._session(goal, stop_at):
            pass

    async def _session(self, goal: int | None, stop_at: int | None) -> bool:
        """Walk through what remains; false if the letters were only given back for a moment."""
        loop = asyncio.get_running_loop()
        began, before = loop.time(), self.done.sent
        remaining = self.letters - self.done.sent
        depth = await ready(self.link, DEAD_LETTER_QUEUE)
        async with reading(self.link, DEAD_LETTER_QUEUE, depth, most=HELD, reserve=HELD // 2) as letters:
            while True:
                most = self.in_flight if goal is None else min(self.in_flight, goal - self.done.sent)
                await _to_its_end(self._send(await self._gather(letters, remaining, most)))
                # New dead letters stand behind all that is read here: they show in the depth alone. What is
                # on its way to us is counted as ready no more: too few may be seen, never too many.
                arrived = letters.arrived
                self.new = max(self.new, await ready(self.link, DEAD_LETTER_QUEUE) - (remaining - arrived))
                is_over = self.done.sent >= self.wanted or letters.received >= remaining or letters.is_silent
                if is_over or self.done.sent == goal or (stop_at is not None and self.new >= stop_at):
                    return True
                if self.rate:
                    due = began + (self.done.sent - before) / self.rate
                    await asyncio.sleep(max(0.0, due - loop.time()))
                if loop.time() >= began + HELD_SECONDS:
                    return False

    async def _gather(self, letters: Reading, remaining: int, most: int) -> list[Chosen]:
        """The next batch."""
        chosen: list[Chosen] = []
        while len(chosen) < most and letters.received < remaining:
            held = await letters.next()
            if held is None:
                break
            letter = read_letter(held.body, held.properties)
            envelope = self.choose(letter)
            if envelope is not None:
                chosen.append((held, letter, envelope))
        return chosen

    async def _send(self, chosen: Sequence[Chosen]) -> None:
        results = await asyncio.gather(
            *(self.publisher.publish(envelope) for _, _, envelope in chosen), return_exceptions=True
        )
        confirmed = [one for one, result in zip(chosen, results, strict=True) if result is None]
        for number, (held, letter, _) in enumerate(confirmed, 1):
            await held.ack(wait=number == len(confirmed))
            self.done.sent += 1
            if self.expects and letter.type == InstanceStored.TYPE and letter.path:
                self.done.waiting[letter.id] = letter.path
            elif self.expects:
                self.done.no_files += 1
        self.on_sent(len(confirmed))
        for result in results:
            if result is not None:
                raise result


async def wait_for_outcomes(
    done: Sent,
    *,
    link: AbstractConnection,
    look: Callable[[], Awaitable[dict[str, str]]],
    cube: AsksByPath,
    seconds: float,
    on_registered: Callable[[int], None],
) -> None:
    """Ask until the end of each is known, or so long.

    Args:
        done: what is known; it is brought up to date.
        link: for a glance at the depth of the dead letters: they are read only where it has changed.
        look: which came back.
        cube: is asked in turn for what waits.
        seconds: the longest wait.
        on_registered: hears how many more are registered.
    """
    loop = asyncio.get_running_loop()
    until, depth = loop.time() + seconds, -1
    while True:
        seen = await ready(link, DEAD_LETTER_QUEUE)
        if seen != depth:
            done.came_back(await look())
            depth = seen
        asked = list(done.waiting.items())[:ASKED_AT_ONCE]
        registered = [name for name, path in asked if await cube.is_registered(path)]
        for name in registered:
            del done.waiting[name]
        done.registered += len(registered)
        on_registered(len(registered))
        if not done.waiting or loop.time() >= until:
            break
        if not registered:
            for name, path in asked:  # these may wait for long: let the others have their turn
                done.waiting[name] = done.waiting.pop(name, path)
            await asyncio.sleep(POLL_SECONDS)
    done.came_back(await look())


async def _to_its_end(work: Awaitable[T]) -> T:
    """Await what an interruption must not cut; its error, or the interruption, is raised behind it."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        task.result()
        raise
