"""What receivers have refused in the last minutes, as the ends of their journals tell it. Only reads.

A receiver writes a refusal with the next records, at the latest with its heartbeat; and none while the
volume is below CHRIS_MIN_FREE_SPACE, or when it cannot write at all. So no refusals here is no proof.
"""

from collections import Counter
from datetime import datetime, timedelta
from typing import Final

from lapidicom.cli.snapshot import Refusals
from lapidicom.common.journal.format import Line, lines
from lapidicom.common.journal.reader import JournalFolder
from lapidicom.common.journal.records import INSTANCE_RECEIVED, INSTANCE_REFUSED, UnknownRecord, time_of

LAST_MINUTES: Final = timedelta(minutes=5)
_TAIL: Final = 1 << 20
"""Bytes of a journal's end that are read: some two thousand records."""

_STILL_SECONDS: Final = 3600.0
"""Age of a segment that need not be read; a clock of the volume that is wrong by minutes hides nothing."""


def look_at_refusals(folder: JournalFolder, now: datetime) -> tuple[list[Refusals], datetime | None]:
    """The refusals of the last minutes, the latest first, and when an instance was stored last.

    Args:
        folder: of a journal.
        now: the time.

    Raises:
        OSError: the journal cannot be read.
    """
    counts: Counter[tuple[str, str]] = Counter()
    latest: dict[tuple[str, str], datetime] = {}
    stored: datetime | None = None
    for line in reversed(_end_of(folder, now)):
        try:
            record = folder.parse(line.text)
        except UnknownRecord:
            continue
        if record.kind not in (INSTANCE_RECEIVED, INSTANCE_REFUSED):
            continue
        made = time_of(record)
        if made is None:
            continue
        if now - made > LAST_MINUTES:
            break
        if record.kind == INSTANCE_RECEIVED:
            stored = stored or made
            continue
        fields = record.fields()
        key = str(fields.get("status")), str(fields.get("reason"))
        counts[key] += 1
        latest.setdefault(key, made)
    found = [
        Refusals(status=status, reason=reason, count=count, latest=latest[status, reason])
        for (status, reason), count in counts.items()
    ]
    return found, stored


def _end_of(folder: JournalFolder, now: datetime) -> list[Line]:
    """The last good lines of the last segment, if it was written to lately."""
    fd = folder.open_segment(max(folder.segments(), default=0))
    if fd is None:
        return []
    try:
        found = folder.fs.fstat(fd)
        if now.timestamp() - found.st_mtime > _STILL_SECONDS:
            return []
        start = max(found.st_size - _TAIL, 0)
        data = folder.fs.pread(fd, _TAIL, start)
    finally:
        folder.fs.close(fd)
    if start:
        cut = data.find(b"\n") + 1
        data, start = data[cut:], start + cut
    return [line for line in lines(data, start) if isinstance(line, Line)]
