"""All journals of a spool, read by somebody who only looks: each record, and how far the relay is with it.

Nothing is written, nothing is claimed, and what disappears while it is read (a relay deletes old
segments) is not an error. Memory is that of one chunk.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from lapidicom.common.file_system import FileSystem
from lapidicom.common.journal.chunk import TO_ITS_END, Reached, read_chunk
from lapidicom.common.journal.format import (
    BEGINNING,
    CURSOR,
    FINISHED,
    Position,
    aside_name,
    parse_folder_name,
    segment_name,
)
from lapidicom.common.journal.reader import JournalFolder, UnknownJournal, find_journals
from lapidicom.common.journal.records import SEGMENT_OPENED, Record, UnknownRecord

_MOST_LINES: Final = 1 << 20
_LINES_AT_CURSOR: Final = 1024


class RelayState(Enum):
    """How far a record is on its way to RabbitMQ, as far as its journal tells."""

    RELAYED = "relayed"
    """Its message, if it leads to one, is confirmed by the broker."""

    NOT_RELAYED = "not relayed"
    """The relay has not come to it yet, or has not noted it yet."""

    BEHIND_MARK = "behind the mark"
    """Perhaps it was never answered: it is being written just now, or its owner died."""

    NEVER_ANSWERED_OR_RELAYED = "never answered, or relayed"
    """Behind the mark of a life that is finished: relayed if its file was there, else skipped."""

    SET_ASIDE = "set aside"
    """A relay up to format 1 could make no message of it."""


@dataclass(frozen=True, slots=True)
class SurveyedRecord:
    """One good line of one journal.

    Attributes:
        receiver_id: of the journal's owner.
        life: of the journal.
        relay: how far the relay is.
        record: what it holds.
    """

    receiver_id: str
    life: str
    relay: RelayState
    record: Record

    @property
    def lapidicom_id(self) -> str:
        """Of the record's message."""
        return f"{self.life}.{self.record.sequence}"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A place before the mark that cannot be read: what stood there is not known.

    Attributes:
        life: of the journal.
        segment: number.
        offset: of the first bad byte.
    """

    life: str
    segment: int
    offset: int


class Survey:
    """A look at all journals of a spool.

    Args:
        file_system: the system calls.
        spool: the spool directory.
        advance: told the number of bytes that were read, again and again.

    Attributes:
        unreadable: bad lines before the mark, found while reading.
    """

    def __init__(
        self, file_system: FileSystem, spool: str, advance: Callable[[int], None] = lambda _: None
    ) -> None:
        self._fs = file_system
        self._spool = spool
        self._advance = advance
        self.unreadable: list[Unreadable] = []

    def size(self) -> int:
        """Bytes of all segments.

        Raises:
            OSError: the spool cannot be read.
        """
        total = 0
        for folder in self._folders():
            with contextlib.suppress(FileNotFoundError):
                for number, done in folder.segments().items():
                    total += self._fs.stat(f"{folder.path}/{segment_name(number, done=done)}").st_size
        return total

    def left_alone(self) -> list[UnknownJournal]:
        """The journals that this version does not read, wholly or from some record on.

        Raises:
            OSError: the spool cannot be read.
        """
        found = list(find_journals(self._fs, self._spool).unknown)
        for folder in self._folders():
            with contextlib.suppress(FileNotFoundError), contextlib.closing(folder):
                reason = self._unknown_at_cursor(folder)
                if reason is not None:
                    path = folder.path.removeprefix(f"{self._spool}/")
                    found.append(UnknownJournal(path, folder.name, reason))
        return found

    def _unknown_at_cursor(self, folder: JournalFolder) -> str | None:
        """What this version does not know where the cursor stands: a relay that meets it goes no further."""
        cursor = folder.position(CURSOR) or BEGINNING
        segments = folder.segments().items()
        number = next((one for one, done in segments if not done and one >= cursor.segment), None)
        fd = None if number is None else folder.open_segment(number)
        if fd is None:
            return None
        start = cursor.offset if number == cursor.segment else 0
        try:
            chunk = read_chunk(self._fs, fd, start, limit=None, durable=TO_ITS_END, most=_LINES_AT_CURSOR)
            for line in chunk.lines:
                record = folder.parse(line.text)
                if record.kind == SEGMENT_OPENED:
                    folder.check_format(record)
        except UnknownRecord as unknown:
            return str(unknown)
        finally:
            self._fs.close(fd)
        return None

    def entries(self, wanted: Callable[[bytes], bool] = lambda _: True) -> Iterator[SurveyedRecord]:
        """All records that this version knows, each journal's in its order.

        Args:
            wanted: told the text of each line; only those for which it is true are given.

        Raises:
            OSError: the spool cannot be read.
        """
        for folder in self._folders():
            try:
                yield from self._entries_of(folder, wanted)
            except FileNotFoundError:
                continue  # deleted meanwhile
            finally:
                folder.close()

    def _folders(self) -> Iterator[JournalFolder]:
        for _, folder in sorted(find_journals(self._fs, self._spool).readable.items()):
            yield folder

    def _entries_of(self, folder: JournalFolder, wanted: Callable[[bytes], bool]) -> Iterator[SurveyedRecord]:
        receiver_id, life = parse_folder_name(folder.name) or ("", "")
        standing = _Standing.of(folder)
        for number, done in folder.segments().items():
            aside = frozenset(folder.file(aside_name(number)).split(b"\n"))
            fd = folder.open_segment(number)
            if fd is None:
                continue
            try:
                for end, text in self._lines(folder, fd, life, number, standing):
                    if not wanted(text):
                        continue
                    relay = RelayState.SET_ASIDE if text in aside else standing.tell(number, end, done=done)
                    try:
                        record = folder.parse(text)
                    except UnknownRecord:
                        continue  # see `left_alone`
                    yield SurveyedRecord(receiver_id, life, relay, record)
            finally:
                self._fs.close(fd)

    def _lines(
        self, folder: JournalFolder, fd: int, life: str, number: int, standing: "_Standing"
    ) -> Iterator[tuple[int, bytes]]:
        durable = folder.durable_end(number, standing.mark)
        offset = 0
        while True:
            chunk = read_chunk(self._fs, fd, offset, limit=None, durable=durable, most=_MOST_LINES)
            for line in chunk.lines:
                yield line.end, line.text
            self.unreadable += [Unreadable(life, number, bad.start) for bad in chunk.bad]
            self._advance(chunk.end - offset)
            offset = chunk.end
            if chunk.reached is not Reached.MORE:
                return


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where owner and relay stand in one journal."""

    mark: Position
    cursor: Position
    finished: Position

    @classmethod
    def of(cls, folder: JournalFolder) -> "_Standing":
        """Cursor before mark: so nothing seems relayed that is not."""
        cursor = folder.position(CURSOR) or BEGINNING
        finished = folder.position(FINISHED) or BEGINNING
        return cls(folder.mark() or BEGINNING, cursor, finished)

    def tell(self, segment: int, end: int, *, done: bool) -> RelayState:
        """How far the relay is with the record that ends there."""
        position = Position(segment, end)
        if done or position <= self.cursor:
            return RelayState.RELAYED
        if position <= self.finished:
            return RelayState.RELAYED if position <= self.mark else RelayState.NEVER_ANSWERED_OR_RELAYED
        return RelayState.NOT_RELAYED if position <= self.mark else RelayState.BEHIND_MARK
