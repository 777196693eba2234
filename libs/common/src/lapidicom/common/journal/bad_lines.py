"""Notes of where a journal was found corrupted: records that were answered and cannot be read any more.

The relay that finds such a place writes a line into `<segment>.bad`: a JSON object. It tells of which
time a `reconcile` is due: that between the records before and behind it.
"""

import contextlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from lapidicom.common.journal.chunk import TO_ITS_END, read_chunk
from lapidicom.common.journal.format import BadStretch, Line, Position, lines, parse_bad_lines_name
from lapidicom.common.journal.reader import JournalFolder
from lapidicom.common.journal.records import UnknownRecord, time_of

_AROUND: Final = 1 << 16
_LINES: Final = 64


@dataclass(frozen=True, slots=True)
class BadLines:
    """A place in a journal at which records that were durable cannot be read any more.

    Attributes:
        start: the first bad byte.
        length: bytes.
        after: when the last record before it was made that tells a time; None if none was found.
        before: the same of the first record behind it.
    """

    start: Position
    length: int
    after: datetime | None
    before: datetime | None

    def encode(self) -> bytes:
        """The note's line."""
        values = {
            "offset": self.start.offset,
            "length": self.length,
            "after": None if self.after is None else self.after.isoformat(),
            "before": None if self.before is None else self.before.isoformat(),
        }
        return json.dumps(values).encode() + b"\n"


def look_around(folder: JournalFolder, segment: int, stretch: BadStretch) -> BadLines:
    """What is known of a bad place.

    Args:
        folder: the journal.
        segment: number.
        stretch: where it is bad.

    Raises:
        OSError: it cannot be read.
    """
    first = max(0, stretch.start - _AROUND)
    before: list[Line | BadStretch] = []
    behind: list[Line] = []
    fd = folder.open_segment(segment)
    if fd is not None:
        try:
            before += lines(folder.fs.pread(fd, stretch.start - first, first), first)
            behind = read_chunk(folder.fs, fd, stretch.end, limit=None, durable=TO_ITS_END, most=_LINES).lines
        finally:
            folder.fs.close(fd)
    return BadLines(
        Position(segment, stretch.start),
        stretch.end - stretch.start,
        _first_time(folder, reversed(before)),
        _first_time(folder, behind),
    )


def _first_time(folder: JournalFolder, found: Iterable[Line | BadStretch]) -> datetime | None:
    for line in found:
        if isinstance(line, Line):
            with contextlib.suppress(UnknownRecord):
                moment = time_of(folder.parse(line.text))
                if moment is not None:
                    return moment
    return None


def noted_bad_lines(folder: JournalFolder) -> list[BadLines]:
    """All that relays have noted of a journal.

    Raises:
        OSError: it cannot be read.
    """
    noted = []
    for name in sorted(folder.names()):
        segment = parse_bad_lines_name(name)
        if segment is not None:
            found = (_decode(segment, line) for line in folder.file(name).splitlines())
            noted += [note for note in found if note is not None]
    return noted


def _decode(segment: int, line: bytes) -> BadLines | None:
    try:
        note: dict[str, Any] = json.loads(line)
        after, before = (value and datetime.fromisoformat(value) for value in (note["after"], note["before"]))
        return BadLines(Position(segment, note["offset"]), note["length"], after, before)
    except (ValueError, KeyError, TypeError):
        return None
