"""Reading a segment, a few lines at a time: what is good, what to skip, and what ends it."""

import sys
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from lapidicom.common.file_system import FileSystem
from lapidicom.common.journal.format import MAX_LINE, BadStretch, Line, lines

_CHUNK: Final = 1 << 18

TO_ITS_END: Final = sys.maxsize
"""Offset of the durable end of a segment of which nobody has written down where it is."""


class Reached(Enum):
    """Where the reading of a chunk ended."""

    MORE = auto()  # there may be more lines
    END = auto()  # at the mark, or at the end of the file, behind a line
    TORN = auto()  # at a line that a failed write left, or a power cut: it ends the segment


@dataclass(frozen=True, slots=True)
class Chunk:
    """What was read of a segment.

    Attributes:
        lines: good ones, in their order.
        bad: what was skipped between, before, or behind them.
        end: where the next line begins.
        reached: what stands there.
    """

    lines: list[Line]
    bad: list[BadStretch]
    end: int
    reached: Reached


def read_chunk(
    file_system: FileSystem, fd: int, start: int, *, limit: int | None, durable: int, most: int
) -> Chunk:
    """Read lines of a segment.

    What was durable once can only be bad because the disk changed it since: it is skipped. Behind that
    a bad line is the rest of a write that failed. Nothing was ever appended to it: it ends the segment.

    Args:
        file_system: the system calls.
        fd: of the segment.
        start: offset of a line.
        limit: offset of the mark, behind which nothing is read; None for a segment that is over.
        durable: offset of the durable end: at least `limit`.
        most: good lines to read at most.

    Raises:
        OSError: it cannot be read.
    """
    size = _CHUNK
    good: list[Line] = []
    bad: list[BadStretch] = []
    end = start
    while True:
        wanted = size if limit is None else min(size, limit - start)
        data, is_all = _read(file_system, fd, start, wanted)
        is_all = is_all or (limit is not None and start + len(data) >= limit)
        for line in lines(data, start):
            if isinstance(line, Line):
                good.append(line)
            elif line.start >= durable:
                return Chunk(good, bad, end, Reached.TORN)
            else:
                end = min(line.end, durable)
                _skip(bad, line.start, end)
                if end < line.end:
                    return Chunk(good, bad, end, Reached.MORE)
            end = line.end
            if len(good) == most:
                return Chunk(good, bad, end, Reached.MORE)
        if is_all:
            return _at_end(good, bad, end, start + len(data), limit, durable)
        if end > start:
            return Chunk(good, bad, end, Reached.MORE)
        if size >= MAX_LINE:
            # No newline within the longest line.
            if start >= durable:
                return Chunk(good, bad, end, Reached.TORN)
            end = min(start + size, durable)
            _skip(bad, start, end)
            return Chunk(good, bad, end, Reached.MORE)
        size = min(size * 4, MAX_LINE)


def _at_end(
    good: list[Line], bad: list[BadStretch], end: int, at: int, limit: int | None, durable: int
) -> Chunk:
    """The file, or what may be read of it, ends at `at`; its last complete line at `end`."""
    if limit is not None:
        if at < limit:
            return Chunk(good, bad, end, Reached.END)  # a network file system does not show all of it yet
        if end < limit:
            _skip(bad, end, limit)
        return Chunk(good, bad, limit, Reached.END)
    if end < durable < TO_ITS_END:
        _skip(bad, end, durable)
        return Chunk(good, bad, min(durable, at), Reached.MORE if durable < at else Reached.END)
    return Chunk(good, bad, end, Reached.TORN if end < at else Reached.END)


def _skip(bad: list[BadStretch], start: int, end: int) -> None:
    if bad and bad[-1].end == start:
        start = bad.pop().start
    bad.append(BadStretch(start, end))


def _read(file_system: FileSystem, fd: int, start: int, wanted: int) -> tuple[bytes, bool]:
    """Read, and tell whether the file ends there: a network file system may answer with less."""
    data = file_system.pread(fd, wanted, start)
    while len(data) < wanted:
        more = file_system.pread(fd, wanted - len(data), start + len(data))
        if not more:
            return data, True
        data += more
    return data, False
