"""A journal's folder as a reader sees it. Never writes to what belongs to the owner."""

import contextlib
import os
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from lapidicom.common.file_system import FileSystem
from lapidicom.common.journal.format import (
    COMMITTED,
    HEARTBEAT,
    MAX_LINE,
    PARENT,
    POSITION_LENGTH,
    Line,
    Position,
    decode_position,
    lines,
    parse_segment_name,
    segment_name,
)

_CHUNK: Final = 1 << 18
_SMALL: Final = 1 << 12
_READ: Final = os.O_RDONLY | os.O_CLOEXEC


Extent = tuple[int, int]
"""How far a journal reaches: number and length of its last segment."""


class Reached(Enum):
    """Where the reading of a chunk ended."""

    MORE = auto()  # there may be more lines
    END = auto()  # at the mark, or at the end of the file, behind a good line
    BAD = auto()  # at a line that is torn or corrupted: it ends the segment


@dataclass(frozen=True, slots=True)
class Chunk:
    """Good lines that follow one another, where the next one begins, and what stands there."""

    lines: list[Line]
    end: int
    reached: Reached


def read_chunk(file_system: FileSystem, fd: int, start: int, limit: int | None, most: int) -> Chunk:
    """Read lines of a segment.

    Args:
        file_system: the system calls.
        fd: of the segment.
        start: offset of a line.
        limit: offset of the mark, behind which nothing is read; None for a segment that is over.
        most: lines to read at most.

    Raises:
        OSError: it cannot be read.
    """
    size = _CHUNK
    while True:
        wanted = size if limit is None else min(size, limit - start)
        data, is_all = _read(file_system, fd, start, wanted)
        is_all = is_all or (limit is not None and start + len(data) >= limit)
        found: list[Line] = []
        end = start
        for line in lines(data, start):
            found.append(line)
            end = line.end
            if len(found) == most:
                return Chunk(found, end, Reached.MORE)
        rest = data[end - start :]
        if b"\n" in rest:
            return Chunk(found, end, Reached.BAD)
        if is_all:
            return Chunk(found, end, Reached.BAD if rest else Reached.END)
        if found or not rest:
            return Chunk(found, end, Reached.MORE)
        if size >= MAX_LINE:
            return Chunk(found, end, Reached.BAD)
        size = min(size * 4, MAX_LINE)


def _read(file_system: FileSystem, fd: int, start: int, wanted: int) -> tuple[bytes, bool]:
    """Read, and tell whether the file ends there: a network file system may answer with less."""
    data = file_system.pread(fd, wanted, start)
    while len(data) < wanted:
        more = file_system.pread(fd, wanted - len(data), start + len(data))
        if not more:
            return data, True
        data += more
    return data, False


class JournalFolder:
    """The folder of one life, read.

    Args:
        file_system: the system calls.
        path: of the folder.
    """

    def __init__(self, file_system: FileSystem, path: str) -> None:
        self.fs = file_system
        self.path = path
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

    def open_segment(self, number: int) -> int | None:
        """A descriptor of a segment, by whichever of its names; None if it is gone."""
        for done in (False, True):
            with contextlib.suppress(FileNotFoundError):
                return self.fs.open(f"{self.path}/{segment_name(number, done=done)}", _READ)
        return None

    def heartbeat(self) -> bytes:
        """What the owner's counter says; empty if there is none."""
        return self.small_file(HEARTBEAT)

    def parent(self) -> str:
        """Who started the owner; empty if unknown."""
        return self.small_file(PARENT).decode("utf-8", "replace")

    def position(self, name: str) -> Position | None:
        """What a file such as the cursor says; None if it says nothing."""
        return decode_position(self.small_file(name))

    def small_file(self, name: str) -> bytes:
        """The content of a small file; empty if there is none."""
        try:
            fd = self.fs.open(f"{self.path}/{name}", _READ)
        except FileNotFoundError:
            return b""
        try:
            return self.fs.pread(fd, _SMALL, 0)
        finally:
            self.fs.close(fd)

    def close(self) -> None:
        """Close what is open."""
        if self._committed is not None:
            self.fs.close(self._committed)
            self._committed = None
