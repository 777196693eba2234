"""Records on their way into the journal, and what they mean for the list of open series. Pure."""

from collections.abc import Callable, Collection, Sequence
from typing import Final

from lapidicom.common.journal.format import Position
from lapidicom.common.journal.records import OpenSeries, SeriesKey, series_fields_of


class Entry:
    """Records appended together.

    Args:
        bodies: the records, without sequence numbers.
        series: the series whose count of instances, or of refusals, these records raise.
        starts: the series_started record that goes before them and opens `series`.
        ends: series that these records end; None if they are no end records. They are never left out.
        refused: they promise nothing: refusals, the end of an association that has brought nothing. Nothing
            waits for them, no sync is made for them, and they may be left out.

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


class EndEntry(Entry):
    """End records of series. They cannot pile up: a series is ended only once its beginning is durable.

    Args:
        bodies, ends: as of `Entry`.
        on_durable: called once they are durable, by the thread that committed them.
    """

    __slots__ = ("_on_durable",)

    def __init__(
        self, bodies: Sequence[bytes], ends: Sequence[SeriesKey], on_durable: Callable[[], None]
    ) -> None:
        super().__init__(bodies, ends=ends)
        self._on_durable = on_durable

    def released(self) -> None:
        """They are durable: a batch that failed does not let go of them."""
        self._on_durable()


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
