"""What became of replayed messages: registered with CUBE, dead letters again, or waiting still.

CUBE is asked by exact path. A message that came back is known by the replay's id in its header.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from aio_pika.abc import AbstractConnection

from lapidicom.cli.dead_letters.letter import read_letter
from lapidicom.cli.dead_letters.reading import depth_of, reading
from lapidicom.cli.replay.headers import replay_of
from lapidicom.cli.replay.selection import Send
from lapidicom.common.topology import DEAD_LETTER_QUEUE

POLL_SECONDS = 0.5

ASKED_AT_ONCE = 50
"""Paths asked for between two looks at the dead letters."""


class AsksByPath(Protocol):
    """CUBE, as far as it is needed here."""

    async def is_registered(self, path: str) -> bool:
        """Whether exactly this path is registered."""


@dataclass
class Outcomes:
    """What is known of the messages of one replay.

    Attributes:
        waiting: paths by id, of those whose end is not known yet.
        registered: how many are registered.
        returned: reasons by id, of those that are dead letters again.
        untold: how many register nothing, so that CUBE cannot tell.
    """

    waiting: dict[str, str] = field(default_factory=dict)
    registered: int = 0
    returned: dict[str, str] = field(default_factory=dict)
    untold: int = 0

    def expect(self, sent: Iterable[Send]) -> None:
        """These were sent."""
        for one in sent:
            if one.path:
                self.waiting[one.letter.id] = one.path
            else:
                self.untold += 1

    def came_back(self, returned: dict[str, str]) -> None:
        """These are, or were, dead letters with the replay's id."""
        self.returned |= returned
        for name in returned:
            self.waiting.pop(name, None)

    @property
    def reasons(self) -> Counter[str]:
        """Why they came back, with counts."""
        return Counter(self.returned.values())

    @property
    def are_good(self) -> bool:
        """All are registered that register anything, and none came back."""
        return not self.returned and not self.waiting


async def returned_of(link: AbstractConnection, replay: str) -> dict[str, str]:
    """Which messages of a replay are dead letters, by id with their reasons; under the lock.

    Raises:
        BrokerError: the dead letters cannot be read.
    """
    found = {}
    async with reading(link, DEAD_LETTER_QUEUE) as letters:
        async for held in letters:
            letter = read_letter(held.body, held.properties)
            if replay_of(letter.headers) == replay:
                found[letter.id] = letter.reason
    return found


async def wait_for_outcomes(
    outcomes: Outcomes,
    *,
    link: AbstractConnection,
    look: Callable[[], Awaitable[dict[str, str]]],
    cube: AsksByPath,
    seconds: float,
    on_registered: Callable[[int], None],
) -> None:
    """Ask until the end of each is known, or so long.

    Args:
        outcomes: what is known; it is brought up to date.
        link: for a glance at the depth of the dead letters: they are read only where it has changed.
        look: which came back.
        cube: is asked in turn for what waits.
        seconds: the longest wait.
        on_registered: hears how many more are registered.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    depth = -1
    while True:
        now = await depth_of(link, DEAD_LETTER_QUEUE)
        if now != depth:
            outcomes.came_back(await look())
            depth = now
        registered = [
            name
            for name, path in list(outcomes.waiting.items())[:ASKED_AT_ONCE]
            if await cube.is_registered(path)
        ]
        for name in registered:
            del outcomes.waiting[name]
        outcomes.registered += len(registered)
        on_registered(len(registered))
        if not outcomes.waiting or loop.time() >= until:
            break
        if not registered:
            # Those asked first may wait for long: let the others have their turn.
            for name in list(outcomes.waiting)[:ASKED_AT_ONCE]:
                outcomes.waiting[name] = outcomes.waiting.pop(name)
            await asyncio.sleep(POLL_SECONDS)
    outcomes.came_back(await look())
