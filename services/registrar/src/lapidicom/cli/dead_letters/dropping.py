"""Takes dead letters out for good: those that were seen, and exported where that is wished."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from aio_pika.abc import AbstractConnection

from lapidicom.cli.dead_letters.copies import copy_of
from lapidicom.cli.dead_letters.export import exported
from lapidicom.cli.dead_letters.export_file import ExportFile
from lapidicom.cli.dead_letters.letter import DeadLetter, read_letter
from lapidicom.cli.dead_letters.reading import reading
from lapidicom.cli.filters import Filters
from lapidicom.common.topology import DEAD_LETTER_QUEUE

HELD = 1000
"""Letters that one consumer may hold."""


@dataclass
class Found:
    """What the first walk found.

    Attributes:
        letters: all dead letters.
        reasons: of those that are meant, with counts.
        copies: those that are meant, and how often each occurs; by message_id, or by id.
        examples: the first of them, without bodies.
    """

    letters: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    copies: Counter[str] = field(default_factory=Counter)
    examples: list[DeadLetter] = field(default_factory=list)

    @property
    def meant(self) -> int:
        """How many are meant."""
        return self.copies.total()


async def find(
    link: AbstractConnection, filters: Filters, export: ExportFile | None, examples: int = 0
) -> Found:
    """Walk through all, under the lock, and export those that are meant.

    Raises:
        BrokerError: they cannot be read.
    """
    found = Found()
    async with reading(link, DEAD_LETTER_QUEUE) as letters:
        async for held in letters:
            found.letters += 1
            letter = read_letter(held.body, held.properties)
            if not filters.matches(letter):
                continue
            if export is not None:
                export.write(exported(held.routing_key, held.body, held.properties))
            found.reasons[letter.reason] += 1
            found.copies[copy_of(letter)] += 1
            if len(found.examples) < examples:
                found.examples.append(letter.without_body())
    return found


async def drop(link: AbstractConnection, found: Found, on_dropped: Callable[[int], None]) -> None:
    """Take out exactly what was found, under the same lock.

    Raises:
        BrokerError: the connection ended; those told to `on_dropped` may be dead letters still.
    """
    left = found.copies.copy()
    async with reading(link, DEAD_LETTER_QUEUE, most=HELD, reserve=HELD // 2) as letters:
        while letters.received < found.letters and left.total():
            held = await letters.next(5.0)
            if held is None:
                return
            copy = copy_of(read_letter(held.body, held.properties))
            if left[copy] > 0:
                await held.ack()
                left[copy] -= 1
                on_dropped(1)
