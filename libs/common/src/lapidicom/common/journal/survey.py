"""All journals of a spool, read by somebody who only looks: each record, and how far the relay is with it.

Nothing is written, nothing is claimed, and what disappears while it is read (a relay deletes old
segments) is not an error. Memory is that of one chunk.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from lapidicom.common.file_system import FileSystem
from lapidicom.common.journal.chunk import TO_ITS_END, Chunk, Reached, read_chunk
from lapidicom.common.journal.format import (
    BEGINNING,
    CURSOR,
    FINISHED,
    Position,
    aside_name,
    parse_folder_name,
    segment_name,
)
from lapidicom.common.journal.reader import JournalFolder, find_journals
from lapidicom.common.journal.records import Record, UnknownRecord

_MOST_LINES: Final = 1 << 20


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
    """One good line of one journal, and how far the relay is with it."""

    receiver_id: str
    life: str
    relay: RelayState
    record: Record

    @property
    def lapidicom_id(self) -> str:
        """Of the record's message."""
        return f"{self.life}.{self.record.sequence}"


def chunks(
    folder: JournalFolder, number: int, start: int = 0, durable: int = TO_ITS_END, most: int = _MOST_LINES
) -> Iterator[Chunk]:
    """A segment, piece by piece; nothing if it is gone. Arguments as of `read_chunk`."""
    fd = folder.open_segment(number)
    if fd is None:
        return
    try:
        reached = Reached.MORE
        while reached is Reached.MORE:
            chunk = read_chunk(folder.fs, fd, start, limit=None, durable=durable, most=most)
            yield chunk
            start, reached = chunk.end, chunk.reached
    finally:
        folder.fs.close(fd)


class Survey:
    """A look at all journals of a spool. Each method raises OSError if they cannot be read.

    `advance` is called with the number of bytes that were read, again and again; `bad_places` counts places
    before the mark that cannot be read, as far as records were read.
    """

    def __init__(self, spool: Path, advance: Callable[[int], None] = lambda _: None) -> None:
        self._fs, self._spool, self._advance = FileSystem(), str(spool), advance
        self.bad_places = 0

    def size(self) -> int:
        """Bytes of all segments."""
        total = 0
        for folder in self._folders():
            with contextlib.suppress(FileNotFoundError):
                for number, done in folder.segments().items():
                    total += self._fs.stat(f"{folder.path}/{segment_name(number, done=done)}").st_size
        return total

    def entries(self, wanted: Callable[[bytes], bool] = lambda _: True) -> Iterator[SurveyedRecord]:
        """All records that this version knows and whose lines are wanted, each journal's in its order."""
        for folder in self._folders():
            with contextlib.suppress(FileNotFoundError), contextlib.closing(folder):  # deleted meanwhile
                yield from self._entries_of(folder, wanted)

    def _folders(self) -> list[JournalFolder]:
        return [folder for _, folder in sorted(find_journals(self._fs, self._spool).readable.items())]

    def _entries_of(self, folder: JournalFolder, wanted: Callable[[bytes], bool]) -> Iterator[SurveyedRecord]:
        receiver_id, life = parse_folder_name(folder.name) or ("", "")
        # cursor before mark: so nothing seems relayed that is not
        cursor, finished = (folder.position(name) or BEGINNING for name in (CURSOR, FINISHED))
        mark = folder.mark() or BEGINNING
        for number, done in folder.segments().items():
            aside = frozenset(folder.file(aside_name(number)).split(b"\n"))
            start = 0
            for chunk in chunks(folder, number, durable=folder.durable_end(number, mark)):
                for line in (one for one in chunk.lines if wanted(one.text)):
                    with contextlib.suppress(UnknownRecord):  # `status` names such journals
                        record = folder.parse(line.text)
                        relay = _relay_state(Position(number, line.end), cursor, mark, finished, done=done)
                        relay = RelayState.SET_ASIDE if line.text in aside else relay
                        yield SurveyedRecord(receiver_id, life, relay, record)
                self.bad_places += len(chunk.bad)
                self._advance(chunk.end - start)
                start = chunk.end


def _relay_state(
    end: Position, cursor: Position, mark: Position, finished: Position, *, done: bool
) -> RelayState:
    """How far the relay is with the record that ends there."""
    if done or end <= cursor:
        return RelayState.RELAYED
    if end <= finished:
        return RelayState.RELAYED if end <= mark else RelayState.NEVER_ANSWERED_OR_RELAYED
    return RelayState.NOT_RELAYED if end <= mark else RelayState.BEHIND_MARK
