"""The message in which a series settles: made of others, and remembered while it lies in a delay queue.

A message about a series is done once another one surely lies in a delay queue that will have it looked at
later. So the thousand instances of a series and its associations lead to one look, not to as many.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from lapidicom.common.broker import Delivery, Envelope, Header
from lapidicom.common.headers import HEADER_EXPECTED
from lapidicom.common.messages import InstanceStored, SeriesReceived, SeriesSettling
from lapidicom.common.topology import EXCHANGE, delay_queue
from lapidicom.registrar.cube.series_outcomes import SeriesKey
from lapidicom.registrar.series.settling import EARLY, Known, Watch

MOST_LYING: Final = 20_000
"""Messages that are remembered. To forget one is safe: another one is published."""

Publish = Callable[[Envelope], Awaitable[None]]


def settling_of(message: InstanceStored | SeriesReceived, headers: Mapping[str, Header]) -> SeriesSettling:
    """The message with which a series begins to settle, made of one with these headers."""
    fields = message.model_dump(include=set(SeriesSettling.model_fields))
    expected = headers.get(HEADER_EXPECTED)
    if isinstance(expected, int) and expected > 0:
        fields["expected"] = expected
    if isinstance(message, InstanceStored):
        fields["folder"] = message.path.rpartition("/")[0]
    return SeriesSettling(**fields)


def series_of(message: SeriesSettling) -> SeriesKey:
    """The series of a message."""
    return SeriesKey(message.pacs_name, message.SeriesInstanceUID, message.folder)


def known_of(message: SeriesSettling) -> Known:
    """What others say of the series."""
    return Known(message.files, message.expected)


def watch_of(message: SeriesSettling) -> Watch | None:
    """What the last look has left; None if nobody has looked, or a foreign publisher left something out."""
    match message:
        case SeriesSettling(count=int(count), touched=int(touched), since=datetime(), first_look=datetime()):
            return Watch(count, touched, _seconds(message.since), _seconds(message.first_look))
        case _:
            return None


def watched(message: SeriesSettling, watch: Watch | None) -> SeriesSettling:
    """The message with what a look has left; with None nobody has looked."""
    left: dict[str, object] = dict.fromkeys(("count", "touched", "since", "first_look"))
    if watch is not None:
        left = {
            "count": watch.count,
            "touched": watch.touched,
            "since": datetime.fromtimestamp(watch.since, UTC),
            "first_look": datetime.fromtimestamp(watch.first_look, UTC),
        }
    return message.model_copy(update=left)


def _seconds(when: datetime | None) -> float:
    return when.timestamp() if when is not None else 0.0


@dataclass(frozen=True, slots=True)
class _Lying:
    """A message in a delay queue: what it knows, and until when it surely lies there."""

    known: Known
    until: float

    def covers(self, known: Known) -> bool:
        """Whether whoever takes it out will know as much."""
        return (self.known.files or 0) >= (known.files or 0) and (
            known.expected is None or self.known.expected == known.expected
        )


class SettlingMessages:
    """Publishes them, for all workers of a registrar, and remembers those that surely lie in a delay queue.

    Args:
        publish: returns once the message is confirmed.
        clock: in seconds.
    """

    def __init__(self, publish: Publish, clock: Callable[[], float] = time.monotonic) -> None:
        self._publish = publish
        self._clock = clock
        self._lying: dict[SeriesKey, _Lying] = {}

    def covers(self, message: SeriesSettling) -> bool:
        """Whether one lies in a delay queue that makes this one superfluous."""
        lying = self._lying.get(series_of(message))
        return lying is not None and self._clock() < lying.until and lying.covers(known_of(message))

    async def publish(
        self, delivery: Delivery, message: SeriesSettling, delay: int, headers: Mapping[str, Header]
    ) -> None:
        """Publish one in place of a delivery, which is to be acknowledged afterwards.

        Args:
            delivery: that led to it; it lends its stable id.
            message: the message.
            delay: which delay queue, in seconds.
            headers: of the message.
        """
        began = self._clock()
        await self._publish(
            Envelope(
                EXCHANGE,
                delay_queue(delay),
                message.TYPE,
                message.VERSION,
                delivery.lapidicom_id,
                message.model_dump_json().encode(),
                headers,
            )
        )
        self._remember(series_of(message), _Lying(known_of(message), began + delay - EARLY))

    def _remember(self, series: SeriesKey, lying: _Lying) -> None:
        if len(self._lying) >= MOST_LYING:
            now = self._clock()
            self._lying = {key: one for key, one in self._lying.items() if one.until > now}
            if len(self._lying) >= MOST_LYING:
                self._lying.clear()
        self._lying[series] = lying
