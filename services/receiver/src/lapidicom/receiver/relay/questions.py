"""The questions to PACS that one journal's records have led to, and their answers on their way to RabbitMQ.

A question holds up no message, but the cursor stays before its record until the answer is published: after a
crash it is asked again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from lapidicom.common.broker.publisher import Envelope
from lapidicom.common.journal.format import Position
from lapidicom.common.journal.records import Record
from lapidicom.receiver.relay.progress import SeriesProgress


class _Question(NamedTuple):
    position: Position
    answer: asyncio.Task[Envelope | None]


class Questions:
    """Those of one journal.

    Args:
        life: of the journal.
        progress: asks them.
    """

    def __init__(self, life: str, progress: SeriesProgress) -> None:
        self._life = life
        self._progress = progress
        self._pending: dict[int, _Question] = {}

    @property
    def is_any_open(self) -> bool:
        """Whether any answer is still to be published."""
        return bool(self._pending)

    def ask(self, position: Position, record: Record) -> None:
        """Ask about the series that a record opens, unless that is being done.

        Args:
            position: where the record begins.
            record: that opened the series.
        """
        if record.sequence not in self._pending:
            answer = asyncio.create_task(self._progress.started(self._life, record))
            self._pending[record.sequence] = _Question(position, answer)

    async def publish_answers(self, publish: Callable[[Envelope], Awaitable[None]]) -> int:
        """Publish what has been answered; how many messages that were.

        Raises:
            BrokerError: one was not confirmed; it stays to be published.
        """
        published = 0
        for sequence, question in list(self._pending.items()):
            if question.answer.done():
                envelope = question.answer.result()
                if envelope is not None:
                    await publish(envelope)
                    published += 1
                del self._pending[sequence]
        return published

    def hold_back(self, position: Position) -> Position:
        """This position, or the first record whose answer is still to be published, if that comes before."""
        return min((position, *(question.position for question in self._pending.values())))
