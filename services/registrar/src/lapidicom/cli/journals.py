"""The journals on the volume, as `status` sees them: what is not in RabbitMQ, not readable, or was refused.

A relay writes its cursor once a second, so what is relayed may be shown as unrelayed for that long. A
receiver writes a refusal with the next records, at the latest with its heartbeat; and none while the volume
is below CHRIS_MIN_FREE_SPACE, or when it cannot write at all. So no refusals here is no proof.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

from pydantic import ConfigDict

from lapidicom.cli.answers import Answer, Check, NotVisible, Result, checked
from lapidicom.cli.times import age, size
from lapidicom.common.file_system import FileSystem
from lapidicom.common.journal.bad_lines import BadLines, noted_bad_lines
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

UNRELAYED: Final = timedelta(seconds=60)
"""A record is in RabbitMQ within a second of its making; after this long the relay does not work."""

LAST_MINUTES: Final = timedelta(minutes=5)
_TAIL: Final = 1 << 20
"""Bytes of a journal's end that are read for refusals: some two thousand records."""

_STILL_SECONDS: Final = 3600.0
"""Since the heartbeat of a journal that need not be read for them; a clock that is wrong by minutes hides
nothing."""

_LINES: Final = 64
_MOST_LINES: Final = 200 * _LINES
"""Refusals lead to no message: after so many lines of nothing else the time is not looked for any longer."""

_MOST_NAMED: Final = 3
_OUT_OF_RESOURCES: Final = "0xA7"
"""The statuses of PS3.4 table B.2-1 with which a receiver refuses for a reason of its own."""


class Journals(Answer):
    """All journals of a spool, together.

    `unrelayed_bytes` and `oldest_unrelayed` tell of what is not known to be in RabbitMQ; `finished`: lives
    that have ended and of which everything is relayed; `set_aside`: records of which no message could be
    made; `corrupted`: places at which answered records cannot be read any more; `left_alone`: journals that
    a newer version wrote, wholly or from the cursor on. `refused`, by status and reason, and the times of
    the last instance that was stored, or refused for the system's sake, are of the last five minutes.
    """

    model_config = ConfigDict(frozen=False)  # each journal is added to it

    under_way: int = 0
    finished: int = 0
    unrelayed_bytes: int = 0
    oldest_unrelayed: datetime | None = None
    set_aside: int = 0
    corrupted: list[BadLines] = []
    left_alone: list[UnknownJournal] = []
    refused: dict[str, int] = {}
    last_refused: datetime | None = None
    last_stored: datetime | None = None

    def __str__(self) -> str:
        text = f"{self.under_way} under way, {self.finished} finished"
        if self.oldest_unrelayed is None:
            return f"{text}; all relayed"
        return f"{text}; {size(self.unrelayed_bytes)} not relayed, oldest {age(self.oldest_unrelayed)}"

    def checks(self) -> Iterator[Check]:
        """What an operator should know of them."""
        oldest = self.oldest_unrelayed
        if oldest is not None and datetime.now(UTC) - oldest > UNRELAYED:
            fault = f"a record waits for its relay, for {age(oldest)}"
            yield _check(
                "relayed", fault, "nothing is lost; see broker_ and journal_ events in the receiver's log"
            )
        if self.set_aside:
            fault = f"{self.set_aside} records were set aside: no message could be made of them"
            remedy = "see record_set_aside in the receiver's log; lapidicom reconcile enqueues their files"
            yield _check("set aside", fault, remedy)
        if self.corrupted:
            after = min((one.after for one in self.corrupted if one.after is not None), default=None)
            before = max((one.before for one in self.corrupted if one.before is not None), default=None)
            since = "their beginning" if after is None else f"{after:%Y-%m-%d %H:%M} UTC"
            until = "their end" if before is None else f"{before:%Y-%m-%d %H:%M} UTC"
            fault = (
                f"journals cannot be read at {len(self.corrupted)} places: instances received from {since} "
                f"to {until} may not be registered"
            )
            remedy = "check the disk, run lapidicom reconcile, then remove the .bad files of the journals"
            yield _check("readable", fault, remedy)
        if self.left_alone:
            named = ", ".join(f"{one.path} ({one.reason})" for one in self.left_alone[:_MOST_NAMED])
            fault = f"{len(self.left_alone)} journals of a newer version are left alone: {named}"
            remedy = "start a receiver of that version on this volume: its relay finishes them"
            yield _check("version", fault, remedy)
        yield from self._refusals()

    def _refusals(self) -> Iterator[Check]:
        """Instances refused in the last minutes: for the system's sake, or for their own."""
        theirs = Counter(self.refused)
        ours = Counter({why: theirs.pop(why) for why in self.refused if why.startswith(_OUT_OF_RESOURCES)})
        if ours:
            is_over = self.last_stored and self.last_refused and self.last_stored > self.last_refused
            since = f"{'instances were' if is_over else 'nothing was'} stored since"
            fault = f"refused for the system's sake in the last 5 minutes, {_counted(ours)}; {since}"
            remedy = "mend what it names; the PACS must send these instances again"
            yield _check("refusals", fault, remedy, Result.DEGRADED if is_over else Result.FAIL)
        if theirs:
            fault = f"refused for their content in the last 5 minutes, {_counted(theirs)}"
            remedy = "see the series' story: lapidicom trace SERIES_INSTANCE_UID; the sender must mend them"
            yield _check("refusals", fault, remedy, Result.NOTE)


def _check(name: str, fault: str, remedy: str, bad: Result = Result.DEGRADED) -> Check:
    return checked("journals", name, fault, remedy=remedy, bad=bad)


def _counted(refused: Counter[str]) -> str:
    """How many instances for which reason, the most frequent first."""
    named = [f"{count} x {reason}" for reason, count in refused.most_common(_MOST_NAMED)]
    return ", ".join([*named, *(["..."] if len(refused) > _MOST_NAMED else [])])


def look_at_journals(spool: Path) -> Journals | NotVisible:
    """Look at all journals; blocks for as long as the volume does.

    Raises:
        OSError: one cannot be read.
    """
    found = find_journals(FileSystem(), str(spool))
    if not found.readable and not spool.is_dir():
        return NotVisible(f"{spool} is not there: the volume is not mounted here")
    journals = Journals(left_alone=list(found.unknown))
    for _, folder in sorted(found.readable.items()):
        with contextlib.suppress(FileNotFoundError):  # deleted just now: everything of it was relayed
            _add(journals, folder, spool)
    return journals


def _add(journals: Journals, folder: JournalFolder, spool: Path) -> None:
    path, finished = Path(folder.path), folder.position(FINISHED)
    rest = _unrelayed(folder, folder.position(CURSOR) or BEGINNING)
    if finished is not None and all(
        Position(number, start + size) <= finished for number, start, size in rest
    ):
        journals.finished += 1
    else:
        journals.under_way += 1
        journals.unrelayed_bytes += sum(size for _, _, size in rest)
        try:
            oldest = next(filter(None, map(time_of, _messages(folder, rest))), None)
            journals.oldest_unrelayed = min(filter(None, (journals.oldest_unrelayed, oldest)), default=None)
        except UnknownRecord as unknown:  # a relay of this version goes no further
            left_alone = UnknownJournal(str(path.relative_to(spool)), folder.name, str(unknown))
            journals.left_alone.append(left_alone)
    journals.set_aside += sum(aside.read_bytes().count(b"\n") for aside in path.glob("*.aside"))
    journals.corrupted += noted_bad_lines(folder)
    heartbeat = path / HEARTBEAT
    if not heartbeat.exists() or time.time() - heartbeat.stat().st_mtime < _STILL_SECONDS:
        _add_last_minutes(journals, folder)


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


def _add_last_minutes(journals: Journals, folder: JournalFolder) -> None:
    """What was refused in the last minutes, and when an instance was stored last, from the journal's end."""
    number, size = folder.extent()
    tail = [line for chunk in chunks(folder, number, max(size - _TAIL, 0)) for line in chunk.lines]
    for line in reversed(tail):
        try:
            record = folder.parse(line.text)
        except UnknownRecord:
            continue
        made = time_of(record)
        if made is None or record.kind not in (INSTANCE_RECEIVED, INSTANCE_REFUSED):
            continue
        if datetime.now(UTC) - made > LAST_MINUTES:
            return
        if record.kind == INSTANCE_RECEIVED:
            journals.last_stored = max(journals.last_stored or made, made)
            continue
        fields = record.fields()
        reason = f"{fields.get('status')} {fields.get('reason')}"
        journals.refused[reason] = journals.refused.get(reason, 0) + 1
        if reason.startswith(_OUT_OF_RESOURCES):
            journals.last_refused = max(journals.last_refused or made, made)
