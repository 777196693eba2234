"""How many instances of each series have come so far, for those who watch it come (LONK).

Instances are counted as their messages pass. When an association ends, the files in the series' folder are
the count, and stay it until other associations have brought more than these: a resend counts nothing twice.
All of it is in memory: a relay that was restarted in the midst of a series counts anew, and the last count is
right again.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from lapidicom.common.broker.publisher import Envelope
from lapidicom.common.lonk import Outbox
from lapidicom.common.messages import InstanceStored, SeriesReceived
from lapidicom.receiver.relay.publish import PublishesEnvelopes

IDLE_SECONDS: Final = 600.0
"""A series of which nothing has come for so long is counted anew: it may have been deleted since."""

_MOST_SERIES: Final = 10_000


@dataclass(slots=True)
class _Series:
    """What is known of a series.

    Attributes:
        known: how many instances there were when an association with it ended.
        coming: by association: sequence number of the last record, and how many have come.
        touched: when something came, monotonic seconds.
    """

    known: int = 0
    coming: dict[str, tuple[int, int]] = field(default_factory=dict)
    touched: float = 0.0

    @property
    def count(self) -> int:
        return max(self.known, sum(count for _, count in self.coming.values()))


class SeriesCounts:
    """Counts the instances of each series, and puts the counts into an outbox.

    Args:
        outbox: of LONK.
        clock: monotonic seconds.
    """

    def __init__(self, outbox: Outbox, clock: Callable[[], float] = time.monotonic) -> None:
        self._outbox = outbox
        self._clock = clock
        self._series: dict[tuple[str, str], _Series] = {}  # the one that was idle longest first

    def count(self, envelope: Envelope) -> None:
        """A message is about to be published, for the first time or again; never raises."""
        fields = _fields(envelope)
        pacs_name, uid = fields.get("pacs_name"), fields.get("SeriesInstanceUID")
        association = fields.get("association_id")
        if not (isinstance(pacs_name, str) and isinstance(uid, str) and isinstance(association, str)):
            return
        series = self._touch((pacs_name, uid))
        if envelope.type == InstanceStored.TYPE:
            sequence = int(envelope.lapidicom_id.rpartition(".")[2])
            last, count = series.coming.get(association, (-1, 0))
            if sequence > last:
                series.coming[association] = sequence, count + 1
            self._outbox.count(pacs_name, uid, series.count)
        elif envelope.type == SeriesReceived.TYPE:
            series.known = _count_at_end(fields, series)
            series.coming.pop(association, None)
            self._outbox.count(pacs_name, uid, series.count, last=True)

    def _touch(self, key: tuple[str, str]) -> _Series:
        now = self._clock()
        series = self._series.pop(key, None)
        if series is None or now - series.touched > IDLE_SECONDS:
            series = _Series()
        series.touched = now
        self._series[key] = series
        while len(self._series) > _MOST_SERIES or self._oldest().touched < now - IDLE_SECONDS:
            del self._series[next(iter(self._series))]
        return series

    def _oldest(self) -> _Series:
        return next(iter(self._series.values()))


def _fields(envelope: Envelope) -> dict[str, Any]:
    try:
        found = json.loads(envelope.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _count_at_end(fields: dict[str, Any], series: _Series) -> int:
    """The files that the receiver has counted; where it could not, what was answered with success."""
    files, received = fields.get("files"), fields.get("received")
    if isinstance(files, int):
        return files
    return max(series.count, received if isinstance(received, int) else 0)


class CountedPublisher:
    """A publisher whose messages are counted.

    Args:
        publisher: publishes.
        counts: counts.
    """

    def __init__(self, publisher: PublishesEnvelopes, counts: SeriesCounts) -> None:
        self._publisher = publisher
        self._counts = counts

    async def publish(self, envelope: Envelope) -> None:
        """Count a message, and return once it is confirmed.

        Raises:
            BrokerError: it is not, or nobody knows.
        """
        self._counts.count(envelope)
        await self._publisher.publish(envelope)
