"""The list of open series, with which an owner begins each segment. Pure."""

from collections.abc import Collection

from lapidicom.common.journal.records import OpenSeries, SeriesKey, series_fields_of
from lapidicom.receiver.journal.entry import Entry


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
