"""The questions to PACS that one journal's records have led to, and their answers on their way to RabbitMQ.

A question holds up no message but the SeriesReceived of its series, and that for a moment: with the answer a
series can be registered at once. The cursor stays before the record of what is still to be published: after a
crash the PACS is asked again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from lapidicom.common.broker.publisher import Envelope
from lapidicom.common.journal.format import Position
from lapidicom.common.journal.records import Record, SeriesKey
from lapidicom.receiver.relay.progress import SeriesProgress

HELD_SECONDS: Final = 2.0
"""For which the end of a series waits for the PACS' answer, at most."""


class _Question(NamedTuple):
    position: Position
    series: SeriesKey
    answer: asyncio.Task[Envelope | None]


class _Held(NamedTuple):
    position: Position
    series: SeriesKey
    envelope: Envelope
    until: float


class Questions:
    """Those of one journal.

    Args:
        life: of the journal.
        progress: asks them.
        clock: monotonic seconds.
    """

    def __init__(self, life: str, progress: SeriesProgress, clock: Callable[[], float]) -> None:
        self._life = life
        self._progress = progress
        self._clock = clock
        self._pending: dict[int, _Question] = {}
        self._held: dict[int, _Held] = {}

    @property
    def is_any_open(self) -> bool:
        """Whether anything is still to be published."""
        return bool(self._pending or self._held)

    def ask(self, position: Position, record: Record) -> None:
        """Ask about the series that a record opens, unless that is being done.

        Args:
            position: where the record begins.
            record: that opened the series.
        """
        series = _series(record)
        if series is not None and record.sequence not in self._pending:
            answer = asyncio.create_task(self._progress.started(self._life, record))
            self._pending[record.sequence] = _Question(position, series, answer)

    def holds(self, position: Position, record: Record, envelope: Envelope) -> bool:
        """Whether a SeriesReceived waits for the answer about its series; `publish_due` publishes it.

        Args:
            position: where its record begins.
            record: that ended the series.
            envelope: the message.
        """
        series = _series(record)
        if series is None or not self._is_pending(series):
            return False
        until = self._clock() + HELD_SECONDS
        self._held.setdefault(record.sequence, _Held(position, series, envelope, until))
        return True

    async def publish_due(self, publish: Callable[[Envelope], Awaitable[None]]) -> int:
        """Publish what has been answered, and what has waited for that; how many messages that were.

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
        for sequence, held in list(self._held.items()):
            if self._clock() >= held.until or not self._is_pending(held.series):
                await publish(await self._progress.received(held.envelope))
                published += 1
                del self._held[sequence]
        return published

    def hold_back(self, position: Position) -> Position:
        """This position, or the first record of what is still to be published, if that comes before."""
        open_ones = (one.position for ones in (self._pending, self._held) for one in ones.values())
        return min((position, *open_ones))

    def _is_pending(self, series: SeriesKey) -> bool:
        return any(question.series == series for question in self._pending.values())


def _series(record: Record) -> SeriesKey | None:
    fields = record.fields()
    association, folder = fields.get("association_id"), fields.get("folder")
    return (
        SeriesKey(association, folder) if isinstance(association, str) and isinstance(folder, str) else None
    )
