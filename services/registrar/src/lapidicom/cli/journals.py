"""Looks at the journals on the volume: what is not in RabbitMQ, not readable, or was refused. Only reads.

A relay writes its cursor once a second, so what is relayed may be shown as unrelayed for that long. A
receiver writes a refusal with the next records, at the latest with its heartbeat; and none while the volume
is below CHRIS_MIN_FREE_SPACE, or when it cannot write at all. So no refusals here is no proof.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

from lapidicom.cli.answers import NotVisible
from lapidicom.cli.snapshot import JournalLook, Refusals
from lapidicom.common.file_system import FileSystem
from lapidicom.common.journal.bad_lines import noted_bad_lines
from lapidicom.common.journal.format import BEGINNING, CURSOR, FINISHED, HEARTBEAT, Position, segment_name
from lapidicom.common.journal.reader import JournalFolder, UnknownJournal, find_journals
from lapidicom.common.journal.records import (
    INSTANCE_RECEIVED,
    INSTANCE_REFUSED,
    SEGMENT_OPENED,
    SERIES_ENDED,
    Record,
    UnknownRecord,
    time_of,
)
from lapidicom.common.journal.survey import chunks

LAST_MINUTES: Final = timedelta(minutes=5)
_TAIL: Final = 1 << 20
"""Bytes of a journal's end that are read for refusals: some two thousand records."""

_STILL: Final = timedelta(hours=1)
"""Since the heartbeat of a journal that need not be read for them; a clock that is wrong by minutes hides
nothing."""

_LINES: Final = 64
_MOST_LINES: Final = 200 * _LINES
"""Refusals lead to no message: after so many lines of nothing else the time is not looked for any longer."""


@dataclass
class JournalsLook:
    """All journals of a spool, and those that a newer version wrote, wholly or from the cursor on."""

    read: list[JournalLook] = field(default_factory=list)
    left_alone: list[UnknownJournal] = field(default_factory=list)


def look_at_journals(spool: Path) -> JournalsLook | NotVisible:
    """Look at all journals; blocks for as long as the volume does.

    Raises:
        OSError: one cannot be read.
    """
    found = find_journals(FileSystem(), str(spool))
    if not found.readable and not spool.is_dir():
        return NotVisible(f"{spool} is not there: the volume is not mounted here")
    look = JournalsLook(left_alone=list(found.unknown))
    for _, folder in sorted(found.readable.items()):
        with contextlib.suppress(FileNotFoundError):  # deleted just now: everything of it was relayed
            look.read.append(_look_at(folder, spool, look.left_alone))
    return look


def _look_at(folder: JournalFolder, spool: Path, left_alone: list[UnknownJournal]) -> JournalLook:
    path, now = Path(folder.path), datetime.now(UTC)
    finished = folder.position(FINISHED)
    rest = _unrelayed(folder, folder.position(CURSOR) or BEGINNING)
    is_finished = finished is not None and all(
        Position(number, start + size) <= finished for number, start, size in rest
    )
    if is_finished:
        rest = []
    oldest = None
    try:
        oldest = next(filter(None, map(time_of, _messages(folder, rest))), None)
    except UnknownRecord as unknown:  # a relay of this version goes no further
        left_alone.append(UnknownJournal(str(path.relative_to(spool)), folder.name, str(unknown)))
    beat = _modified(path / HEARTBEAT)
    is_still = beat is not None and now - beat > _STILL
    refused, last_stored = ([], None) if is_still else _last_minutes(folder, now)
    return JournalLook(
        name=path.name,
        unrelayed_bytes=sum(size for _, _, size in rest),
        oldest=oldest,
        beat=beat,
        finished=is_finished,
        set_aside=sum(aside.read_bytes().count(b"\n") for aside in path.glob("*.aside")),
        corrupted=noted_bad_lines(folder),
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


def _messages(folder: JournalFolder, stretches: Sequence[tuple[int, int, int]]) -> Iterator[Record]:
    """The records that lead to a message, of the first lines.

    Raises:
        UnknownRecord: a newer version wrote one, or the whole segment.
    """
    lines = (
        line
        for number, start, _ in stretches
        for chunk in chunks(folder, number, start, most=_LINES)
        for line in chunk.lines
    )
    for line in islice(lines, _MOST_LINES):
        record = folder.parse(line.text)
        if record.kind == SEGMENT_OPENED:
            folder.check_format(record)
        elif record.kind in (INSTANCE_RECEIVED, SERIES_ENDED):
            yield record


def _last_minutes(folder: JournalFolder, now: datetime) -> tuple[list[Refusals], datetime | None]:
    """What was refused in the last minutes, the latest first, and when an instance was stored last."""
    counts: Counter[tuple[str, str]] = Counter()
    latest: dict[tuple[str, str], datetime] = {}
    stored: datetime | None = None
    number, size = folder.extent()
    tail = [line for chunk in chunks(folder, number, max(size - _TAIL, 0)) for line in chunk.lines]
    for line in reversed(tail):
        try:
            record = folder.parse(line.text)
        except UnknownRecord:
            continue
        made = time_of(record) if record.kind in (INSTANCE_RECEIVED, INSTANCE_REFUSED) else None
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
    refused = [
        Refusals(status=status, reason=reason, count=count, latest=latest[status, reason])
        for (status, reason), count in counts.items()
    ]
    return refused, stored


def _modified(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:
        return None
