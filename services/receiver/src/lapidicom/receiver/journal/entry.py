"""Records on their way into the journal, what they mean for the list of open series, and what waits. Pure."""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from lapidicom.common.journal.format import Position
from lapidicom.common.journal.records import OpenSeries, SeriesKey, series_fields_of
from lapidicom.receiver.journal.observer import Observer

MOST_END_RECORDS: Final = 10_000
"""Appends of end records that are kept at most while they cannot be written."""

_MOST_BYTES: Final = 8 << 20


class Entry:
    """Records appended together.

    Args:
        bodies: the records, without sequence numbers.
        series: the series whose count of instances, or of refusals, these records raise.
        starts: the series_started record that goes before them and opens `series`.
        ends: series that these records end; None if they are no end records.
        refused: they tell of a refusal: nothing waits for them, and no sync is made for them.

    Attributes:
        end: where they end in the journal, once written.
        durable: they are on the disk (without fsync: written).
        settled: their file's folder is synced, or was given up: no reader comes too early.
        failure: why they could not be made durable.
        started_as: sequence number of the series_started record, once framed.
    """

    __slots__ = (
        "bodies",
        "durable",
        "end",
        "ends",
        "failure",
        "refused",
        "series",
        "settled",
        "started_as",
        "starts",
    )

    def __init__(
        self,
        bodies: Sequence[bytes],
        *,
        series: SeriesKey | None = None,
        starts: bytes | None = None,
        ends: Sequence[SeriesKey] | None = None,
        refused: bool = False,
    ) -> None:
        self.bodies: Final = bodies
        self.series: Final = series
        self.starts: Final = starts
        self.ends: Final = ends
        self.refused: Final = refused
        self.end: Position | None = None
        self.durable = False
        self.settled = refused or ends is not None
        self.failure: OSError | None = None
        self.started_as = 0

    def released(self) -> None:
        """Its outcome stands: durable or failed."""

    def length(self) -> int:
        """Bytes of its records."""
        return sum(map(len, self.bodies)) + (0 if self.starts is None else len(self.starts))


class OpenSeriesList:
    """The series that this owner's records have begun and not ended, and their counts."""

    def __init__(self) -> None:
        self._series: dict[SeriesKey, OpenSeries] = {}

    def listed(self) -> Collection[OpenSeries]:
        """In the order of their beginning."""
        return self._series.values()

    def take(self, entry: Entry) -> None:
        """Take in what a written entry means: a beginning, a count, an end."""
        key = entry.series
        if key is not None:
            if entry.starts is not None and key not in self._series:
                self._series[key] = OpenSeries(entry.started_as, series_fields_of(entry.starts))
            series = self._series.get(key)
            if series is not None:
                if entry.refused:
                    series.refused += 1
                else:
                    series.received += 1
        for ended in entry.ends or ():
            self._series.pop(ended, None)


class KeptEndRecords:
    """End records that one owner could not write: kept in memory until a later batch takes them.

    Args:
        observe: called when some are given up.

    Attributes:
        entries: that wait for the next batch.
    """

    def __init__(self, observe: Observer) -> None:
        self._observe = observe
        self.entries: list[Entry] = []

    def take(self) -> list[Entry]:
        """Give them to a batch."""
        entries, self.entries = self.entries, []
        return entries

    def keep(self, batch: Iterable[Entry]) -> None:
        """Keep the end records of a batch that failed; over the bound the newest are given up.

        Their series then stay in the list of open series, and the relay ends them with this life.
        """
        entries = [entry for entry in batch if entry.ends is not None]
        size = 0
        for number, entry in enumerate(entries):
            size += entry.length()
            if number >= MOST_END_RECORDS or size > _MOST_BYTES:
                self._observe("journal_end_records_given_up", entries=len(entries) - number)
                break
            self.entries.append(entry)
