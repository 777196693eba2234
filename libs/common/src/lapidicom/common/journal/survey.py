"""All journals of a spool, read by somebody who only looks: each record, and how far the relay is with it.

Nothing is written, nothing is claimed, and what disappears while it is read (a relay deletes old
segments) is not an error. Memory is that of one chunk.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from lapidicom.common.file_system import FileSystem
from lapidicom.common.journal.format import (
    BEGINNING,
    CURSOR,
    FINISHED,
    Position,
    aside_name,
    parse_folder_name,
    segment_name,
)
from lapidicom.common.journal.reader import JournalFolder, Reached, read_chunk

JOURNALS: Final = "journal"
"""Folder of all journals, below the spool."""

_MOST_LINES: Final = 1 << 20
_ASIDE_BLOCK: Final = 1 << 20


class Relay(Enum):
    """How far a record is on its way to RabbitMQ, as far as its journal tells."""

    RELAYED = "relayed"
    """Its message, if it leads to one, is confirmed by the broker."""

    NOT_RELAYED = "not relayed"
    """The relay has not come to it yet, or has not noted it yet."""

    BEHIND_MARK = "behind the mark"
    """Perhaps it was never answered: it is being written just now, or its owner died."""

    NEVER_ANSWERED_OR_RELAYED = "never answered, or relayed"
    """Behind the mark of a life that is finished: relayed if its file was whole, else skipped."""

    SET_ASIDE = "set aside"
    """No message could be made of it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One good line of one journal.

    Attributes:
        receiver_id: of the journal's owner.
        life: of the journal.
        relay: how far the relay is.
        text: the record's JSON text; `records.parse` reads it.
    """

    receiver_id: str
    life: str
    relay: Relay
    text: bytes


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A segment that cannot be read to its end: what stands behind is not known.

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
        unreadable: segments with a bad line before the mark, found while reading.
    """

    def __init__(
        self, file_system: FileSystem, spool: str, advance: Callable[[int], None] = lambda _: None
    ) -> None:
        self._fs = file_system
        self._path = f"{spool}/{JOURNALS}"
        self._advance = advance
        self.unreadable: list[Unreadable] = []

    def size(self) -> int:
        """Bytes of all segments.

        Raises:
            OSError: the spool cannot be read.
        """
        total = 0
        for folder, _, _ in self._folders():
            with contextlib.suppress(FileNotFoundError):
                for number, done in folder.segments().items():
                    total += self._fs.stat(f"{folder.path}/{segment_name(number, done=done)}").st_size
        return total

    def entries(self, wanted: Callable[[bytes], bool] = lambda _: True) -> Iterator[Entry]:
        """All records, each journal's in its order.

        Args:
            wanted: told the JSON text of each; only those for which it is true are given.

        Raises:
            OSError: the spool cannot be read.
        """
        for folder, receiver_id, life in self._folders():
            try:
                yield from self._entries_of(folder, receiver_id, life, wanted)
            except FileNotFoundError:
                continue  # deleted meanwhile
            finally:
                folder.close()

    def _folders(self) -> Iterator[tuple[JournalFolder, str, str]]:
        try:
            names = self._fs.listdir(self._path)
        except FileNotFoundError:
            return  # no receiver has begun yet
        for name in sorted(names):
            parsed = parse_folder_name(name)
            if parsed is not None:
                yield JournalFolder(self._fs, f"{self._path}/{name}"), *parsed

    def _entries_of(
        self, folder: JournalFolder, receiver_id: str, life: str, wanted: Callable[[bytes], bool]
    ) -> Iterator[Entry]:
        standing = _Standing.of(folder)
        for number, done in folder.segments().items():
            aside = self._lines_aside(folder, number)
            fd = folder.open_segment(number)
            if fd is None:
                continue
            try:
                for end, text in self._lines(fd, life, number, standing, is_done=done):
                    if wanted(text):
                        relay = Relay.SET_ASIDE if text in aside else standing.tell(number, end, done=done)
                        yield Entry(receiver_id, life, relay, text)
            finally:
                self._fs.close(fd)

    def _lines(
        self, fd: int, life: str, number: int, standing: "_Standing", *, is_done: bool
    ) -> Iterator[tuple[int, bytes]]:
        offset = 0
        while True:
            chunk = read_chunk(self._fs, fd, offset, None, _MOST_LINES)
            for line in chunk.lines:
                yield line.end, line.text
            self._advance(chunk.end - offset)
            offset = chunk.end
            if chunk.reached is Reached.MORE:
                continue
            if chunk.reached is Reached.BAD and (is_done or Position(number, offset) < standing.mark):
                self.unreadable.append(Unreadable(life, number, offset))
            return

    def _lines_aside(self, folder: JournalFolder, number: int) -> frozenset[bytes]:
        """Texts of the segment's records of which no message could be made: few, if any."""
        try:
            fd = self._fs.open(f"{folder.path}/{aside_name(number)}", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return frozenset()
        try:
            content = b""
            while block := self._fs.pread(fd, _ASIDE_BLOCK, len(content)):
                content += block
        finally:
            self._fs.close(fd)
        return frozenset(content.split(b"\n"))


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

    def tell(self, segment: int, end: int, *, done: bool) -> Relay:
        """How far the relay is with the record that ends there."""
        position = Position(segment, end)
        if done or position <= self.cursor:
            return Relay.RELAYED
        if position <= self.finished:
            return Relay.RELAYED if position <= self.mark else Relay.NEVER_ANSWERED_OR_RELAYED
        return Relay.NOT_RELAYED if position <= self.mark else Relay.BEHIND_MARK
