"""A replay: dead letters go back to the work queue, and CUBE is asked what became of them.

Each is published, confirmed, and only then acknowledged: at every moment it is in the work path or a dead
letter. A crash between the two leaves it in both, and a registration that comes twice ends in one.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Final

import typer
from aio_pika.abc import AbstractConnection

from lapidicom.cli.cube import Catalogue, Rate, catalogue
from lapidicom.cli.dead_letters import Busy, lock, walk
from lapidicom.cli.errors import OperatorError
from lapidicom.cli.in_flight import InFlight
from lapidicom.cli.letter import DeadLetter, read_letter
from lapidicom.cli.output import Advance
from lapidicom.cli.queues import Held, Reading, acknowledge, reading, ready
from lapidicom.cli.replay_plan import REPLAY, STOP_AT, NotEditable, Plan, Replayed
from lapidicom.cli.shell import Shell
from lapidicom.cli.times import parse_rate
from lapidicom.common.broker import BrokerError, Envelope, Publisher
from lapidicom.common.messages import InstanceStored, SeriesReceived, SeriesSettling
from lapidicom.common.topology import DEAD_LETTER_QUEUE

HELD: Final = 1000
"""Letters that one consumer may hold: bounds the memory, however many are passed over."""

BATCH: Final = 100
"""Messages that are published, confirmed and acknowledged together."""

BATCHES: Final = 2
"""On their way at once: one is read while the others are confirmed. A crash leaves no more in both places."""

HELD_SECONDS: Final = 600.0
"""After so long letters are given back and taken again: RabbitMQ lets nobody hold one for 30 min."""

LOOK_SECONDS: Final = 0.2
"""Between two looks at whether messages come back."""

CUBE_RATE: Final = 20.0
"""Questions to CUBE a second: it must register meanwhile."""

POLL_SECONDS: Final = 0.5
ASKED_AT_ONCE: Final = 50
"""Registrations asked for between two looks at the dead letters."""

IsRegistered = Callable[[], Awaitable[bool]]
"""Asks CUBE whether a message has registered what it shall."""

_REGISTERED_BY_CUBE_6: Final = frozenset({SeriesReceived.TYPE, SeriesSettling.TYPE})


@dataclass(frozen=True)
class Options:
    """How the operator wants it done."""

    first: Annotated[int, typer.Option(min=0, help="Only so many, the oldest; 0: all.")] = 0
    canary: Annotated[
        int, typer.Option(min=0, help="Replay so many first, and the rest if CUBE (CHRIS_URL) has them.")
    ] = 0
    rate: Annotated[
        float | None, typer.Option(parser=parse_rate, metavar="RATE", help="No faster than, say, 50/s.")
    ] = None
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Do not stop when ten of them have come back.")
    ] = False
    wait: Annotated[bool, typer.Option("--wait", help="Wait until CUBE (CHRIS_URL) has them.")] = False
    wait_seconds: Annotated[float, typer.Option(min=0, help="Wait no longer for canary or outcome.")] = 600.0


async def replay_letters(
    shell: Shell, plan: Plan, options: Options, because: str, what: str, done: Replayed
) -> None:
    """Replay what is meant: under the lock, within the audit, canary first; `done` says what came of it.

    Raises:
        Busy: another operator is at the dead letters.
        OperatorError: RabbitMQ went away amidst, or CUBE is not what is needed.
        BrokerError: it could not be begun.
    """
    async with AsyncExitStack() as stack:
        cube = None
        if options.canary or options.wait:
            cube = await stack.enter_async_context(catalogue(shell.settings.cube, CUBE_RATE))
            done.registered = done.waiting = 0
        link = await stack.enter_async_context(shell.connection())
        publisher = await stack.enter_async_context(shell.publishing())
        locked = await stack.enter_async_context(AsyncExitStack())
        await locked.enter_async_context(lock(link))
        await see(link, plan, options.first, done)
        shell.output.text(f"replay {plan.replay}: {done.selected} of {done.letters} dead letters")
        if not done.selected:
            return
        after = await stack.enter_async_context(shell.audited(because, what, done.selected))
        advance = stack.enter_context(shell.output.progress("replayed", done.selected))
        run = _Replay(shell, link, publisher, cube, plan, options, advance, done)
        try:
            if await run.send():
                await locked.aclose()  # the others may look while this one waits
                run.has_lock = False
                await run.wait()
        except BrokerError as error:
            raise OperatorError(
                f"RabbitMQ failed after {done.sent} were replayed ({error})",
                f"none is lost; up to {BATCH * BATCHES} more may be sent and be dead letters still: "
                "a second registration does no harm",
            ) from error
        except BaseException:
            left = f"{done.sent} of {done.selected} replayed; the others are dead letters still"
            shell.output.warn(f"replay {plan.replay}: {left}")
            raise
        finally:
            done.returned = dict(Counter(run.returned.values()).most_common())
            done.waiting = None if cube is None else len(run.waiting)
            after |= {"replay": plan.replay, "sent": done.sent, "returned": len(run.returned)}
            after |= {name: True for name in ("canary_failed", "stopped") if getattr(done, name)}


async def see(link: AbstractConnection, plan: Plan, first: int, done: Replayed) -> None:
    """Count what a replay of the `first` ones (0: all) will do; the lock is the caller's."""
    async with walk(link) as letters:
        async for letter, _ in letters:
            done.see(letter, plan, first)
    for counts in (done.reasons, done.not_editable):
        largest_first = Counter(counts).most_common()
        counts.clear()
        counts.update(largest_first)


@dataclass
class _Replay:
    """One replay of what was seen.

    The lock is that of `link`; the publisher has another connection. Without `cube` nobody asks for outcomes.
    `new` dead letters came since the start, as far as is known. `waiting` are the questions about those whose
    end is not known, `returned` the reasons of those that are dead letters again, each by id.
    """

    shell: Shell
    link: AbstractConnection
    publisher: Publisher
    cube: Catalogue | None
    plan: Plan
    options: Options
    advance: Advance
    done: Replayed
    has_lock: bool = True
    new: int = 0
    waiting: dict[str, IsRegistered] = field(default_factory=dict)
    returned: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Nothing is sent yet."""
        self._rate, self._expects = Rate(self.options.rate or 0.0), True

    async def send(self) -> bool:
        """The canary, then the rest; whether there is an outcome to wait for."""
        done, options = self.done, self.options
        if options.canary:
            await self._send(min(options.canary, done.selected))
            await self.wait()
            if self.returned or self.waiting:
                done.canary_failed = True
                return False
        self._expects = options.wait
        excused = 0
        while True:
            stop_at = None if options.keep_going else STOP_AT + excused
            await self._send(done.selected, stop_at)
            if self.new:
                await self._look()
            if stop_at is None or self.new < stop_at:
                return options.wait
            if len(self.returned) >= STOP_AT:
                done.stopped = True
                return options.wait
            excused = self.new - len(self.returned)  # these have nothing to do with this replay

    async def _send(self, goal: int, stop_at: int | None = None) -> None:
        """Send until so many are sent in all, or so many new dead letters have come."""
        while not await self._session(goal, stop_at):
            pass

    async def _session(self, goal: int, stop_at: int | None) -> bool:
        """Walk through what remains; false if the letters were only given back for a moment."""
        loop = asyncio.get_running_loop()
        began = looked = loop.time()
        taken, remaining = self.done.sent, self.done.letters - self.done.sent
        depth = await ready(self.link, DEAD_LETTER_QUEUE)
        async with reading(self.link, DEAD_LETTER_QUEUE, depth, most=HELD) as letters:
            async with InFlight(BATCHES) as flight:
                while taken < goal and letters.received < remaining and not letters.is_silent:
                    batch = await self._gather(letters, remaining, goal - taken)
                    await flight.start(self._send_batch, batch)
                    taken += len(batch)
                    if loop.time() < looked + LOOK_SECONDS:
                        continue
                    looked = loop.time()
                    await self._count_new(letters, remaining)
                    if stop_at is not None and self.new >= stop_at:
                        break
                    if looked >= began + HELD_SECONDS:
                        return False
            await self._count_new(letters, remaining)
        return True

    async def _gather(
        self, letters: Reading, remaining: int, most: int
    ) -> list[tuple[Held, DeadLetter, Envelope]]:
        """The next batch; with a rate what goes in a second."""
        batch: list[tuple[Held, DeadLetter, Envelope]] = []
        most = min(most, BATCH, max(1, int(self.options.rate or BATCH)))
        while len(batch) < most and letters.received < remaining and (held := await letters.next()):
            letter = read_letter(held.body, held.properties)
            with suppress(NotEditable):
                if taken := self.plan.envelope(letter):
                    await self._rate.turn()
                    batch.append((held, letter, taken[0]))
        return batch

    async def _count_new(self, letters: Reading, remaining: int) -> None:
        """New dead letters stand behind all that is read here: they show in the depth alone.

        What is on its way to us is counted as ready no more: too few may be seen, never too many.
        """
        arrived = letters.arrived
        self.new = max(self.new, await ready(self.link, DEAD_LETTER_QUEUE) - (remaining - arrived))

    async def _send_batch(self, batch: Sequence[tuple[Held, DeadLetter, Envelope]]) -> None:
        publishes = (self.publisher.publish(envelope) for _, _, envelope in batch)
        results = await asyncio.gather(*publishes, return_exceptions=True)
        confirmed = [one for one, error in zip(batch, results, strict=True) if error is None]
        await acknowledge(held for held, _, _ in confirmed)
        self.done.sent += len(confirmed)
        self.advance(len(confirmed))
        for _, letter, _ in confirmed if self._expects else ():
            if self.cube and (question := _question(self.cube, letter)):
                self.waiting[letter.id] = question
            else:
                self.done.register_nothing += 1
        for error in filter(None, results):
            raise error

    async def wait(self) -> None:
        """Ask CUBE until the end of each is known, or so long."""
        loop, done, cube = asyncio.get_running_loop(), self.done, self.cube
        if cube is None:
            return
        until, depth = loop.time() + self.options.wait_seconds, -1
        with self.shell.output.progress("registered", len(self.waiting)) as advance:
            while True:
                if (seen := await ready(self.link, DEAD_LETTER_QUEUE)) != depth:
                    await self._look()
                    depth = seen
                asked = list(self.waiting.items())[:ASKED_AT_ONCE]
                registered = [name for name, is_registered in asked if await is_registered()]
                for name, question in asked:  # those that wait for long let the others have their turn
                    if self.waiting.pop(name, None) and name not in registered:
                        self.waiting[name] = question
                done.registered = (done.registered or 0) + len(registered)
                advance(len(registered))
                if not self.waiting or loop.time() >= until:
                    break
                if not registered:
                    await asyncio.sleep(POLL_SECONDS)
        await self._look()

    async def _look(self) -> None:
        """See which messages of this replay are dead letters again, if no other operator is at them."""
        with suppress(Busy):
            async with nullcontext() if self.has_lock else lock(self.link), walk(self.link) as letters:
                async for letter, _ in letters:
                    if letter.headers.get(REPLAY) == self.plan.replay:
                        self.returned[letter.id] = letter.reason
                        self.waiting.pop(letter.id, None)


def _question(cube: Catalogue, letter: DeadLetter) -> IsRegistered | None:
    """How to ask for what a message registers: a file, or with CUBE 6 a series; None if it is nothing.

    A series must have the files that the message tells of: late ones come when CUBE has it already.
    """
    if letter.type == InstanceStored.TYPE and letter.path:
        return partial(cube.is_registered, letter.path)
    uid, told = letter.uid("SeriesInstanceUID"), map(letter.fields.get, ("files", "count"))
    if not (cube.is_of_series and letter.type in _REGISTERED_BY_CUBE_6 and letter.path and uid):
        return None
    files = max((number for number in told if isinstance(number, int)), default=1)
    return partial(cube.is_series_registered, letter.pacs_name, uid, letter.path, files)
