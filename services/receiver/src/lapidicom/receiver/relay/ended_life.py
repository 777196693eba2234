"""The rest of an ended life once its records are published: its open series and temporary files."""

import contextlib
import posixpath
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lapidicom.common.broker.publisher import Envelope
from lapidicom.common.file_system import FileSystem
from lapidicom.common.journal import records
from lapidicom.common.journal.chunk import Reached, read_chunk
from lapidicom.common.journal.format import Position
from lapidicom.common.journal.reader import JournalFolder
from lapidicom.common.journal.records import Record, SeriesKey, UnknownRecord
from lapidicom.receiver.journal.observer import Observer
from lapidicom.receiver.relay.messages import broken_off

_LINES_AT_ONCE: Final = 256


@dataclass(slots=True)
class SeriesLeftOpen:
    """A series without an end record.

    Attributes:
        sequence: of the record that opened it.
        fields: of that record.
        received: instance records.
        refused: refusals.
    """

    sequence: int
    fields: Mapping[str, Any]
    received: int = 0
    refused: int = 0


class OpenSeriesTable:
    """Follows the records of a journal, from the beginning of a segment on.

    Args:
        never_answered: sequence numbers of instance records that do not count.

    Attributes:
        is_complete: a whole list was read, so nothing before it matters.
    """

    def __init__(self, never_answered: Container[int] = ()) -> None:
        self._never_answered = never_answered
        self._series: dict[SeriesKey, SeriesLeftOpen] = {}
        self._listed: dict[SeriesKey, SeriesLeftOpen] = {}
        self._unlisted = 0
        self.is_complete = False

    def begin_segment(self) -> None:
        """The next record is the first of a segment."""
        self._listed = {}
        self._unlisted = 0

    def left_open(self) -> list[SeriesLeftOpen]:
        """Those with at least one instance."""
        return [series for series in self._series.values() if series.received]

    def take(self, record: Record) -> None:
        """Take the next record in; one that lacks what its kind has changes nothing."""
        fields = record.fields()
        try:
            match record.kind:
                case records.INSTANCE_RECEIVED:
                    self._received(record.sequence, fields)
                case records.INSTANCE_REFUSED if fields.get("folder") is not None:
                    self._refused(fields)
                case records.SERIES_STARTED:
                    # Written again if its first batch failed after the line was out: counts go on.
                    self._series.setdefault(_key(fields), SeriesLeftOpen(record.sequence, fields))
                case records.SERIES_ENDED:
                    self._series.pop(_key(fields), None)
                case records.SEGMENT_OPENED:
                    self._open_list(fields["open_series"])
                case records.SERIES_OPEN:
                    self._list(fields)
        except (KeyError, TypeError, AttributeError):
            return

    def _received(self, sequence: int, message: Mapping[str, Any]) -> None:
        if sequence in self._never_answered:
            return
        folder = posixpath.dirname(message["path"])
        key = SeriesKey(message["association_id"], folder)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = SeriesLeftOpen(sequence, {**message, "folder": folder})
        series.received += 1

    def _refused(self, refusal: Mapping[str, Any]) -> None:
        series = self._series.get(_key(refusal))
        if series is not None:
            series.refused += 1

    def _open_list(self, open_series: int | list[Mapping[str, Any]]) -> None:
        """A list begins: of so many records, or, in format 1, it is here."""
        self._listed = {}
        given = open_series if isinstance(open_series, list) else []
        self._unlisted = len(given) if isinstance(open_series, list) else open_series
        for one in given:
            self._list(one)
        self._end_list()

    def _list(self, one: Mapping[str, Any]) -> None:
        key = _key(one["series"])
        listed = SeriesLeftOpen(one["sequence"], one["series"], one["received"], one["refused"])
        # Should the rest of the list be lost, this much of it is known.
        self._listed[key] = self._series[key] = listed
        self._unlisted -= 1
        self._end_list()

    def _end_list(self) -> None:
        if self._unlisted == 0:
            self._series = self._listed
            self.is_complete = True


def _key(fields: Mapping[str, Any]) -> SeriesKey:
    return SeriesKey(fields["association_id"], fields["folder"])


def find_left_open(
    folder: JournalFolder, mark: Position | None, never_answered: Container[int]
) -> list[SeriesLeftOpen]:
    """The series that a journal leaves open.

    Args:
        folder: of a life that has ended.
        mark: of the journal.
        never_answered: sequence numbers of instance records that do not count.

    Raises:
        OSError: it cannot be read.
    """
    numbers = list(folder.segments())
    for first in reversed(range(len(numbers))):
        table = OpenSeriesTable(never_answered)
        _read_segment(folder, numbers[first], mark, table)
        if table.is_complete or first == 0:
            for number in numbers[first + 1 :]:
                _read_segment(folder, number, mark, table)
            return table.left_open()
    return []


def _read_segment(folder: JournalFolder, number: int, mark: Position | None, table: OpenSeriesTable) -> None:
    fd = folder.open_segment(number)
    if fd is None:
        return
    table.begin_segment()
    durable = folder.durable_end(number, mark)
    offset = 0
    reached = Reached.MORE
    try:
        while reached is Reached.MORE:
            chunk = read_chunk(folder.fs, fd, offset, limit=None, durable=durable, most=_LINES_AT_ONCE)
            for line in chunk.lines:
                try:
                    table.take(folder.parse(line.text))
                except UnknownRecord:
                    continue
            offset, reached = chunk.end, chunk.reached
    finally:
        folder.fs.close(fd)


def messages_of(
    life: str,
    left_open: Iterable[SeriesLeftOpen],
    count: Callable[[str], int | None],
    observe: Observer,
) -> list[Envelope]:
    """The messages that end the series left open.

    Args:
        life: of the journal, for the ids of its messages.
        left_open: the series.
        count: tells how many files a series folder holds.
        observe: called for series of which no message can be made.
    """
    envelopes = []
    for series in left_open:
        try:
            files = count(str(series.fields.get("folder")))
            envelopes.append(
                broken_off(life, series.sequence, series.fields, series.received, series.refused, files)
            )
        except ValueError:
            observe("series_not_ended", life=life, sequence=series.sequence)
    return envelopes


def remove_incoming(fs: FileSystem, incoming: str, *, is_known_dead: bool) -> None:
    """Remove the temporary files of the dead.

    Should the owner live, it answers 0xA700 for what it was about to rename. It needs the folder for the
    next: that goes only if the owner is known to be dead, else with its journal.
    """
    with contextlib.suppress(OSError):
        for name in fs.listdir(incoming):
            with contextlib.suppress(OSError):
                fs.unlink(f"{incoming}/{name}")
        if is_known_dead:
            fs.rmdir(incoming)
