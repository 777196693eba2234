"""Journals as a reader sees them: which there are, and what stands in one. Never writes."""

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from lapidicom.common.file_system import FileSystem
from lapidicom.common.journal import format_1, records
from lapidicom.common.journal.chunk import TO_ITS_END, read_chunk
from lapidicom.common.journal.format import (
    COMMITTED,
    FOLDERS,
    HEARTBEAT,
    JOURNALS,
    PARENT,
    POSITION_LENGTH,
    Position,
    decode_position,
    parse_folder_name,
    parse_segment_name,
    segment_name,
)
from lapidicom.common.journal.records import SEGMENT_OPENED, Record, UnknownRecord

_BLOCK: Final = 1 << 14
_READ: Final = os.O_RDONLY | os.O_CLOEXEC

_PARSE: Final[Mapping[int, Callable[[bytes], Record]]] = {1: format_1.parse, 2: records.parse}

Extent = tuple[int, int]
"""How far a journal reaches: number and length of its last segment."""


class JournalFolder:
    """The folder of one life, read.

    Args:
        file_system: the system calls.
        path: of the folder.
        format_number: how its records are written.
    """

    def __init__(self, file_system: FileSystem, path: str, format_number: int) -> None:
        self.fs = file_system
        self.path = path
        self.name = path.rpartition("/")[2]
        self.parse = _PARSE[format_number]
        self._format = format_number
        self._committed: int | None = None

    def names(self) -> list[str]:
        """All files.

        Raises:
            OSError: the folder is gone, or cannot be read.
        """
        return self.fs.listdir(self.path)

    def segments(self) -> dict[int, bool]:
        """The numbers of the segments, ascending, and whether each is relayed to its end."""
        found = (parse_segment_name(name) for name in self.names())
        return dict(sorted(segment for segment in found if segment is not None))

    def extent(self) -> Extent:
        """How far the journal reaches."""
        segments = self.segments()
        if not segments:
            return 0, 0
        last, done = max(segments.items())
        try:
            return last, self.fs.stat(f"{self.path}/{segment_name(last, done=done)}").st_size
        except FileNotFoundError:
            return last, 0

    def mark(self) -> Position | None:
        """How far the owner lets readers publish; None if that is unknown, as after a power cut."""
        try:
            if self._committed is None:
                self._committed = self.fs.open(f"{self.path}/{COMMITTED}", _READ)
            return decode_position(self.fs.pread(self._committed, POSITION_LENGTH, 0))
        except FileNotFoundError:
            return None

    def durable_end(self, number: int, mark: Position | None) -> int:
        """Offset in a segment before which everything was durable once: a bad line there is no torn one.

        That is the mark, if it is in this segment. Where the owner has gone on to another one, that one's
        first record tells where this one was durable. If nobody tells, it is TO_ITS_END.

        Args:
            number: of the segment.
            mark: of the journal; None if it is unknown.
        """
        marked = mark.offset if mark is not None and mark.segment == number else 0
        later = next((one for one in self.segments() if one > number), None)
        if later is None:
            return TO_ITS_END if mark is not None and mark.segment > number else marked
        durable = self._durable_before(later)
        if durable is None or durable.segment > number:
            return TO_ITS_END
        return max(marked, durable.offset) if durable.segment == number else marked

    def _durable_before(self, number: int) -> Position | None:
        """What the first record of a segment tells of the durable end of those before it."""
        fd = self.open_segment(number)
        if fd is None:
            return None
        try:
            first = read_chunk(self.fs, fd, 0, limit=None, durable=0, most=1).lines
        finally:
            self.fs.close(fd)
        try:
            record = self.parse(first[0].text)
            segment, offset = record.fields()["durable"]
            return Position(int(segment), int(offset)) if record.kind == SEGMENT_OPENED else None
        except (IndexError, UnknownRecord, KeyError, TypeError, ValueError):
            return None

    def check_format(self, opened: Record) -> None:
        """Look at the first record of a segment.

        Raises:
            UnknownRecord: it was written in another format than its folder is for.
        """
        found = opened.fields().get("format")
        if found != self._format:
            raise UnknownRecord(f"format {found!r:.10}")

    def open_segment(self, number: int) -> int | None:
        """A descriptor of a segment, by whichever of its names; None if it is gone."""
        for done in (False, True):
            with contextlib.suppress(FileNotFoundError):
                return self.fs.open(f"{self.path}/{segment_name(number, done=done)}", _READ)
        return None

    def heartbeat(self) -> bytes:
        """What the owner's counter says; empty if there is none."""
        return self.file(HEARTBEAT)

    def parent(self) -> str:
        """Who started the owner; empty if unknown."""
        return self.file(PARENT).decode("utf-8", "replace")

    def position(self, name: str) -> Position | None:
        """What a file such as the cursor says; None if it says nothing."""
        return decode_position(self.file(name))

    def file(self, name: str) -> bytes:
        """The content of a file that is no segment; empty if there is none."""
        try:
            fd = self.fs.open(f"{self.path}/{name}", _READ)
        except FileNotFoundError:
            return b""
        try:
            content = block = self.fs.pread(fd, _BLOCK, 0)
            while len(block) == _BLOCK:
                block = self.fs.pread(fd, _BLOCK, len(content))
                content += block
            return content
        finally:
            self.fs.close(fd)

    def close(self) -> None:
        """Close what is open."""
        if self._committed is not None:
            self.fs.close(self._committed)
            self._committed = None


@dataclass(frozen=True, slots=True)
class UnknownJournal:
    """A journal of a newer version, which this one leaves alone.

    Attributes:
        path: of its folder, below the spool.
        name: of its folder: receiver id and life.
        reason: what is not known: `format 3`, or a kind of record.
    """

    path: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class FoundJournals:
    """The journals of a spool: those that this version reads, by the names of their folders, and others."""

    readable: Mapping[str, JournalFolder]
    unknown: tuple[UnknownJournal, ...]


def has_journals(file_system: FileSystem, spool: str) -> bool:
    """Whether any receiver has ever written a journal there, in a format that this version reads."""
    return any(file_system.access(f"{spool}/{place}", os.F_OK) for place in FOLDERS.values())


def find_journals(file_system: FileSystem, spool: str) -> FoundJournals:
    """List the journals of all formats; none if no receiver has begun yet.

    Raises:
        OSError: the spool cannot be read.
    """
    readable = {}
    for number, place in FOLDERS.items():
        for name in _listing(file_system, f"{spool}/{place}"):
            if parse_folder_name(name) is not None:
                readable[name] = JournalFolder(file_system, f"{spool}/{place}/{name}", number)
    known = {place.rpartition("/")[2] for place in FOLDERS.values()}
    unknown = [
        UnknownJournal(f"{JOURNALS}/{number}/{name}", name, f"format {number}")
        for number in sorted(set(_listing(file_system, f"{spool}/{JOURNALS}")) - known)
        if number.isdigit()
        for name in sorted(_listing(file_system, f"{spool}/{JOURNALS}/{number}"))
    ]
    return FoundJournals(readable, tuple(unknown))


def _listing(file_system: FileSystem, path: str) -> list[str]:
    try:
        return file_system.listdir(path)
    except (FileNotFoundError, NotADirectoryError):
        return []
