"""Looks at the journals on the volume: what is not in RabbitMQ, not readable, or was refused. Only reads.

A relay writes its cursor once a second, so what is relayed may be shown as unrelayed for that long.
"""

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from lapidicom.cli.errors import NotVisible
from lapidicom.cli.refusals import look_at_refusals
from lapidicom.cli.snapshot import Corrupted, JournalLook, LeftAlone
from lapidicom.common.file_system import FileSystem
from lapidicom.common.journal.bad_lines import noted_bad_lines
from lapidicom.common.journal.chunk import TO_ITS_END, Reached, read_chunk
from lapidicom.common.journal.format import BEGINNING, CURSOR, FINISHED, HEARTBEAT, Position, segment_name
from lapidicom.common.journal.reader import JournalFolder, find_journals
from lapidicom.common.journal.records import INSTANCE_RECEIVED, SERIES_ENDED, UnknownRecord, time_of
from lapidicom.common.journal.survey import Survey

_LINES: Final = 64
_MESSAGES: Final = frozenset({INSTANCE_RECEIVED, SERIES_ENDED})
"""The records that lead to a message."""

_MOST_CHUNKS: Final = 200
"""Refusals lead to no message: after so many chunks of nothing else the time is not looked for any longer."""


def look_at_journals(spool: Path | None) -> list[JournalLook] | NotVisible:
    """All journals of a spool, by name; blocks for as long as the volume does."""
    if spool is None:
        return NotVisible("CHRIS_FILES_ROOT is not set")
    try:
        folders = find_journals(FileSystem(), str(spool)).readable
    except OSError as error:
        return NotVisible(f"the journals in {spool}: {error.strerror}")
    if not folders and not spool.is_dir():
        return NotVisible(f"{spool} is not there: the volume is not mounted here")
    found = []
    for _, folder in sorted(folders.items()):
        try:
            with contextlib.suppress(FileNotFoundError):  # deleted just now: everything of it was relayed
                found.append(_look_at(folder))
        except OSError as error:
            return NotVisible(f"{folder.path}: {error.strerror}")
    return found


def look_for_left_alone(spool: Path | None) -> list[LeftAlone] | NotVisible:
    """The journals of a spool that a newer version wrote; blocks for as long as the volume does."""
    if spool is None:
        return NotVisible("CHRIS_FILES_ROOT is not set")
    try:
        unknown = Survey(FileSystem(), str(spool)).left_alone()
    except OSError as error:
        return NotVisible(f"the journals in {spool}: {error.strerror}")
    return [LeftAlone(path=one.path, reason=one.reason) for one in unknown]


def _look_at(folder: JournalFolder) -> JournalLook:
    path = Path(folder.path)
    cursor = folder.position(CURSOR) or BEGINNING
    finished = folder.position(FINISHED)
    rest = _unrelayed(folder, cursor)
    is_finished = finished is not None and all(
        Position(number, start + size) <= finished for number, start, size in rest
    )
    if is_finished:
        rest = []
    refused, last_stored = look_at_refusals(folder, datetime.now(UTC))
    return JournalLook(
        name=path.name,
        unrelayed_bytes=sum(size for _, _, size in rest),
        oldest=_oldest(folder, rest),
        beat=_modified(path / HEARTBEAT),
        finished=is_finished,
        set_aside=sum(_lines_of(aside) for aside in path.glob("*.aside")),
        corrupted=[Corrupted(after=bad.after, before=bad.before) for bad in noted_bad_lines(folder)],
        refused=refused,
        last_stored=last_stored,
    )


def _unrelayed(folder: JournalFolder, cursor: Position) -> list[tuple[int, int, int]]:
    """Segment, offset and length of each stretch behind the cursor."""
    stretches = []
    for number, done in folder.segments().items():
        if done or number < cursor.segment:
            continue
        start = cursor.offset if number == cursor.segment else 0
        with contextlib.suppress(FileNotFoundError):  # renamed meanwhile: relayed
            size = folder.fs.stat(f"{folder.path}/{segment_name(number)}").st_size
            if size > start:
                stretches.append((number, start, size - start))
    return stretches


def _oldest(folder: JournalFolder, stretches: Sequence[tuple[int, int, int]]) -> datetime | None:
    """When the first record was made that leads to a message."""
    chunks = 0
    for number, offset, _ in stretches:
        fd = folder.open_segment(number)
        if fd is None:
            continue
        try:
            reached = Reached.MORE
            while reached is Reached.MORE and chunks < _MOST_CHUNKS:
                chunk = read_chunk(folder.fs, fd, offset, limit=None, durable=TO_ITS_END, most=_LINES)
                for line in chunk.lines:
                    made = _made_at(folder, line.text)
                    if made is not None:
                        return made
                reached, offset, chunks = chunk.reached, chunk.end, chunks + 1
        finally:
            folder.fs.close(fd)
    return None


def _made_at(folder: JournalFolder, text: bytes) -> datetime | None:
    try:
        record = folder.parse(text)
    except UnknownRecord:
        return None
    return time_of(record) if record.kind in _MESSAGES else None


def _modified(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:
        return None


def _lines_of(path: Path) -> int:
    with path.open("rb") as lines:
        return sum(1 for _ in lines)
