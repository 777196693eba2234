"""Which series a journal leaves open: told by its last segment, which begins with the list of them."""

import posixpath
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lapidicom.common.journal import records
from lapidicom.common.journal.reader import JournalFolder, Reached, read_chunk
from lapidicom.common.journal.records import RecordError, SeriesKey

_LINES_AT_ONCE: Final = 256


@dataclass(slots=True)
class LeftOpen:
    """A series without an end record.

    Attributes:
        sequence: of its series_started record.
        fields: of that record.
        received: instance records.
        refused: refusals.
    """

    sequence: int
    fields: Mapping[str, Any]
    received: int = 0
    refused: int = 0


class OpenSeriesTable:
    """Follows the records of a segment."""

    def __init__(self, never_answered: Container[int] = ()) -> None:
        self._never_answered = never_answered
        self._series: dict[SeriesKey, LeftOpen] = {}

    def left_open(self) -> list[LeftOpen]:
        """Those with at least one instance."""
        return [series for series in self._series.values() if series.received]

    def take(self, record: Mapping[str, Any]) -> None:
        """Take the next record in.

        Raises:
            RecordError: it lacks what a record of its kind has.
        """
        try:
            self._take(record)
        except (KeyError, TypeError, AttributeError) as error:
            raise RecordError(f"a field is missing or malformed ({type(error).__name__})") from None

    def _take(self, record: Mapping[str, Any]) -> None:
        kind = record["record"]
        if kind == records.INSTANCE_RECEIVED:
            message = record["message"]
            key = SeriesKey(message["association_id"], posixpath.dirname(message["path"]))
            series = self._series.get(key)
            if series is not None and record["sequence"] not in self._never_answered:
                series.received += 1
        elif kind == records.INSTANCE_REFUSED and record.get("folder") is not None:
            series = self._series.get(SeriesKey(record["association_id"], record["folder"]))
            if series is not None:
                series.refused += 1
        elif kind == records.SERIES_STARTED:
            # Written again if its first batch failed after the line was out: counts go on.
            self._series.setdefault(_key(record["series"]), LeftOpen(record["sequence"], record["series"]))
        elif kind == records.SERIES_ENDED:
            self._series.pop(_key(record["message"]), None)
        elif kind == records.SEGMENT_OPENED:
            self._series = {
                _key(one["series"]): LeftOpen(one["sequence"], one["series"], one["received"], one["refused"])
                for one in record["open_series"]
            }


def _key(fields: Mapping[str, Any]) -> SeriesKey:
    return SeriesKey(fields["association_id"], fields["folder"])


def find_left_open(folder: JournalFolder, never_answered: Container[int]) -> list[LeftOpen]:
    """The series that a journal leaves open, by its last segment that has a good line.

    Args:
        folder: of a life that has ended.
        never_answered: sequence numbers of instance records that do not count.

    Raises:
        OSError: it cannot be read.
    """
    for number in sorted(folder.segments(), reverse=True):
        fd = folder.open_segment(number)
        if fd is None:
            continue
        try:
            table = _read_segment(folder, fd, never_answered)
        finally:
            folder.fs.close(fd)
        if table is not None:
            return table.left_open()
    return []


def _read_segment(folder: JournalFolder, fd: int, never_answered: Container[int]) -> OpenSeriesTable | None:
    table = OpenSeriesTable(never_answered)
    offset = 0
    while True:
        chunk = read_chunk(folder.fs, fd, offset, None, _LINES_AT_ONCE)
        for line in chunk.lines:
            try:
                table.take(records.parse(line.text))
            except RecordError:
                continue  # set aside by the follower, with an event
        offset = chunk.end
        if chunk.reached is not Reached.MORE:
            return table if offset else None
