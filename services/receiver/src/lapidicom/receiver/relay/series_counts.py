"""How many instances of each series have come so far, for those who watch it come (LONK).

Instances are counted as their messages pass. When an association ends, the files in the series' folder are
the count, and stay it until other associations have brought more than these: a resend counts nothing twice.
All of it is in memory: a relay that was restarted in the midst of a series counts anew, and the last count is
right again.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from lapidicom.common.broker.publisher import Envelope
from lapidicom.common.lonk import Outbox
from lapidicom.common.messages import InstanceStored, SeriesReceived
from lapidicom.receiver.relay.publish import PublishesEnvelopes

IDLE_SECONDS: Final = 600.0
"""A series of which nothing has come for so long is counted anew: it may have been deleted since."""

_MOST_SERIES: Final = 10_000

_TYPES: Final = frozenset({InstanceStored.TYPE, SeriesReceived.TYPE})
_PACS_NAME: Final = re.compile(rb'"pacs_name": ?"([ !#-\[\]-~]+)"')
_UID: Final = re.compile(rb'"SeriesInstanceUID": ?"([0-9.]+)"')
_ASSOCIATION: Final = re.compile(rb'"association_id": ?"([!#-\[\]-~]+)"')
_FILES: Final = re.compile(rb'"files": ?([0-9]{1,9})\b')
_RECEIVED: Final = re.compile(rb'"received": ?([0-9]{1,9})\b')


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
        if envelope.type not in _TYPES:
            return
        body = envelope.body
        pacs_name, uid, association = (_text(body, field) for field in (_PACS_NAME, _UID, _ASSOCIATION))
        if not (pacs_name and uid and association):
            return
        series = self._touch((pacs_name, uid))
        if envelope.type == InstanceStored.TYPE:
            sequence = int(envelope.lapidicom_id.rpartition(".")[2])
            last, count = series.coming.get(association, (-1, 0))
            if sequence > last:
                series.coming[association] = sequence, count + 1
            self._outbox.count(pacs_name, uid, series.count)
        else:
            series.known = _count_at_end(body, series)
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


def _text(body: bytes, field: re.Pattern[bytes]) -> str:
    """A field of a JSON text whose value has no character that JSON escapes; empty if there is none.

    No other text can hold what is searched for: a quotation mark within one has a backslash before it. To
    read the whole body would double what the count of an instance costs.
    """
    found = field.search(body)
    return found[1].decode("ascii") if found else ""


def _count_at_end(body: bytes, series: _Series) -> int:
    """The files that the receiver has counted; where it could not, what was answered with success."""
    if files := _FILES.search(body):
        return int(files[1])
    received = _RECEIVED.search(body)
    return max(series.count, int(received[1]) if received else 0)


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
