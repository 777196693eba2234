"""The journals on the volume, as `status` sees them: what is not in RabbitMQ, not readable, or was refused.

A relay writes its cursor once a second, so what is relayed may be shown as unrelayed for that long. A
receiver writes a refusal with the next records, at the latest with its heartbeat; and none while the volume
is below CHRIS_MIN_FREE_SPACE, or when it cannot write at all. So no refusals here is no proof.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from lapidicom.cli.answers import Check, NotVisible, Result, checked
from lapidicom.cli.settings import CommandSettings
from lapidicom.cli.times import age, size
from lapidicom.cli.volume import seen_of_volume
from lapidicom.common.file_system import FileSystem
from lapidicom.common.journal.bad_lines import BadLines, noted_bad_lines
from lapidicom.common.journal.format import BEGINNING, CURSOR, FINISHED, HEARTBEAT, Position, segment_name
from lapidicom.common.journal.reader import JournalFolder, UnknownJournal, find_journals
from lapidicom.common.journal.records import (
    INSTANCE_RECEIVED,
    INSTANCE_REFUSED,
    SEGMENT_OPENED,
    SERIES_ENDED,
    UnknownRecord,
    time_of,
)
from lapidicom.common.journal.survey import chunks
from lapidicom.common.open_series import BEING_HEALED

AREA: Final = "journals"
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

_bad = partial(checked, AREA, bad=Result.DEGRADED)


@dataclass
class Journals:
    """All journals of a spool, together.

    Attributes:
        under_way: lives that go on, or of which something is not known to be in RabbitMQ.
        finished: the other ones.
        unrelayed_bytes: what is not known to be in RabbitMQ.
        oldest: when the first record of it was made that leads to a message.
        set_aside: records of which no message could be made.
        corrupted: places at which answered records cannot be read any more.
        left_alone: journals that a newer version wrote, wholly or from the cursor on.
        refused: instances of the last minutes, by status and reason.
        last_refused: the last one that was refused for the system's sake.
        last_stored: the last one that was stored.
    """

    under_way: int = 0
    finished: int = 0
    unrelayed_bytes: int = 0
    oldest: datetime | None = None
    set_aside: int = 0
    corrupted: list[BadLines] = field(default_factory=list)
    left_alone: list[UnknownJournal] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    last_refused: datetime | None = None
    last_stored: datetime | None = None

    def checks(self) -> Iterator[Check]:
        """What an operator should know of them."""
        lives, relayed, fault = f"{self.under_way} under way, {self.finished} finished", "all relayed", ""
        if self.oldest is not None:
            relayed = f"{size(self.unrelayed_bytes)} not relayed, oldest {age(self.oldest)}"
            is_late = datetime.now(UTC) - self.oldest > UNRELAYED
            fault = f"records wait for their relay: {relayed}" if is_late else ""
        remedy = "nothing is lost; see broker_ and journal_ events in the receiver's log"
        yield _bad("relayed", fault, f"{lives}; {relayed}", remedy, count=self.unrelayed_bytes)
        if self.set_aside:
            fault = f"{self.set_aside} records were set aside: no message could be made of them"
            remedy = "see record_set_aside in the receiver's log; lapidicom reconcile enqueues their files"
            yield _bad("set aside", fault, remedy=remedy)
        if self.corrupted:
            times = [one.after for one in self.corrupted if one.after is not None]
            since = min(times) if len(times) == len(self.corrupted) else None  # else from the beginning
            fault = (
                f"journals cannot be read at {len(self.corrupted)} places: instances may not be registered"
            )
            reconcile = "lapidicom reconcile" + (f" --since {since:%Y-%m-%dT%H:%M}" if since else "")
            remedy = f"check the disk, run {reconcile}, then remove the .bad files of the journals"
            yield _bad("readable", fault, remedy=remedy)
        if self.left_alone:
            named = ", ".join(f"{one.path} ({one.reason})" for one in self.left_alone[:_MOST_NAMED])
            fault = f"{len(self.left_alone)} journals of a newer version are left alone: {named}"
            remedy = "start a receiver of that version on this volume: its relay finishes them"
            yield _bad("version", fault, remedy=remedy)
        yield from self._refusals()

    def _refusals(self) -> Iterator[Check]:
        """Instances refused in the last minutes: for the system's sake, that of `heal`, or their own."""
        ours = Counter({why: n for why, n in self.refused.items() if _is_for_the_system(why)})
        healed = Counter({why: n for why, n in self.refused.items() if why.endswith(f" {BEING_HEALED}")})
        theirs = self.refused - ours - healed
        if ours:
            is_over = self.last_stored and self.last_refused and self.last_stored > self.last_refused
            since = f"{'instances were' if is_over else 'nothing was'} stored since"
            fault = f"refused for the system's sake in the last 5 minutes, {_named(ours)}; {since}"
            remedy = "mend what it names; the PACS must send these instances again"
            yield _bad("refusals", fault, remedy=remedy, bad=Result.DEGRADED if is_over else Result.FAIL)
        if healed:
            fault = f"refused in the last 5 minutes, {_named(healed)}"
            remedy = "when heal is done the PACS must send these instances again"
            yield _bad("refusals", fault, remedy=remedy, bad=Result.NOTE)
        if theirs:
            fault = f"refused for their content in the last 5 minutes, {_named(theirs)}"
            remedy = "see the series' story: lapidicom trace SERIES_INSTANCE_UID; the sender must mend them"
            yield _bad("refusals", fault, remedy=remedy, bad=Result.NOTE)


def _is_for_the_system(reason: str) -> bool:
    """Whether a receiver refused for a fault of its own; a series that is being healed is none."""
    return reason.startswith(_OUT_OF_RESOURCES) and not reason.endswith(f" {BEING_HEALED}")


def _named(refused: Counter[str]) -> str:
    """How many instances for which reason, the most frequent first."""
    named = [f"{count} x {reason}" for reason, count in refused.most_common(_MOST_NAMED)]
    return ", ".join([*named, *(["..."] if len(refused) > _MOST_NAMED else [])])


async def check_journals(settings: CommandSettings) -> list[Check]:
    """Checks of all journals."""
    journals = await seen_of_volume(look_at_journals, settings.spool)
    if isinstance(journals, NotVisible):
        return [checked(AREA, "relayed", journals)]
    return list(journals.checks())


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
    if finished is not None and Position(*folder.extent()) <= finished:
        journals.finished += 1
    else:
        journals.under_way += 1
        try:
            _add_unrelayed(journals, folder)
        except UnknownRecord as unknown:  # a relay of this version goes no further
            place = str(path.relative_to(spool))
            journals.left_alone.append(UnknownJournal(place, folder.name, str(unknown)))
    journals.set_aside += sum(aside.read_bytes().count(b"\n") for aside in path.glob("*.aside"))
    journals.corrupted += noted_bad_lines(folder)
    heartbeat = path / HEARTBEAT
    if not heartbeat.exists() or time.time() - heartbeat.stat().st_mtime < _STILL_SECONDS:
        _add_last_minutes(journals, folder)


def _add_unrelayed(journals: Journals, folder: JournalFolder) -> None:
    """How much stands behind the cursor, and since when its first record waits that leads to a message.

    Raises:
        UnknownRecord: a newer version wrote a record, or the whole segment.
    """
    cursor, starts = folder.position(CURSOR) or BEGINNING, {}
    for number, done in folder.segments().items():
        if done or number < cursor.segment:
            continue
        with contextlib.suppress(FileNotFoundError):  # renamed meanwhile: relayed
            length = folder.fs.stat(f"{folder.path}/{segment_name(number)}").st_size
            starts[number] = cursor.offset if number == cursor.segment else 0
            journals.unrelayed_bytes += max(0, length - starts[number])
    lines = (
        line
        for number, start in starts.items()
        for chunk in chunks(folder, number, start, most=_LINES)
        for line in chunk.lines
    )
    for line in islice(lines, _MOST_LINES):
        record = folder.parse(line.text)
        if record.kind == SEGMENT_OPENED:
            folder.check_format(record)
        elif record.kind in (INSTANCE_RECEIVED, SERIES_ENDED) and (made := time_of(record)):
            journals.oldest = min(journals.oldest or made, made)
            return


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
        journals.refused[reason] += 1
        if _is_for_the_system(reason):
            journals.last_refused = max(journals.last_refused or made, made)
