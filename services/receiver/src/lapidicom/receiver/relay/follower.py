"""Follows one journal: publishes its records in order, and finishes it when its owner's life has ended.

While the owner lives nothing behind its mark is touched. When it has ended, or seems to, everything
that is readable is published: for a record behind the mark only if its file is there, and after that
file is durable. Nothing is taken from the owner: if it was only paused, its journal is followed on.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from lapidicom.common.broker.publisher import Envelope
from lapidicom.receiver.journal import records
from lapidicom.receiver.journal.format import (
    BEGINNING,
    CURSOR,
    FINISHED,
    Line,
    Position,
    segment_name,
)
from lapidicom.receiver.journal.observer import Observer
from lapidicom.receiver.journal.reader import Chunk, JournalFolder, Reached, read_chunk
from lapidicom.receiver.journal.records import RecordError
from lapidicom.receiver.relay.aside import set_aside
from lapidicom.receiver.relay.envelopes import broken_off, envelope_of
from lapidicom.receiver.relay.open_series import find_left_open
from lapidicom.receiver.relay.position_file import write_position
from lapidicom.receiver.relay.stored_files import StoredFiles

T = TypeVar("T")

IN_FLIGHT: Final = 64
"""Messages published and not yet confirmed, at most."""

Publish = Callable[[Envelope], Awaitable[None]]


class Offload(Protocol):
    """Runs a function that may wait for the disk, in the product by a thread."""

    def __call__(self, function: Callable[[], T], /) -> Awaitable[T]:
        """Run it."""


@dataclass(slots=True)
class Counts:
    """What a relay has done since its process began; only ever grows."""

    published: int = 0
    set_aside: int = 0
    never_answered: int = 0


@dataclass(frozen=True, slots=True)
class _Outgoing:
    """A message, and where its record begins."""

    start: Position
    envelope: Envelope


class Follower:
    """Reads one journal and publishes it.

    Args:
        folder: the journal.
        life: its life, for the ids of its messages.
        files: the stored files.
        incoming: folder of the life's temporary files; removed when the life is finished.
        relay_id: of this relay: makes names of temporary files unique.
        counts: what is done is added there.
        observe: told of events.
        offload: runs what may wait for the disk.

    Attributes:
        ended: the owner's life has ended, or seems to.
        finished: everything of the ended life is published.
    """

    def __init__(
        self,
        folder: JournalFolder,
        life: str,
        files: StoredFiles,
        incoming: str,
        *,
        relay_id: str,
        counts: Counts,
        observe: Observer,
        offload: Offload,
    ) -> None:
        self.folder: Final = folder
        self.life: Final = life
        self.ended = False
        self.finished = False
        self._files = files
        self._incoming = incoming
        self._relay_id = relay_id
        self._counts = counts
        self._observe = observe
        self._offload = offload
        self._position: Position | None = None
        self._mark: Position | None = None
        self._fd: int | None = None
        self._fd_over = False
        self._cursor: Position | None = None
        self._bad_at: Position | None = None
        self._never_answered: set[int] = set()
        self._first_skipped: Position | None = None
        self._resumes = False
        self._is_known_dead = False
        self._finished_as: tuple[int, int] | None = None

    def owner_ended(self, *, is_known: bool) -> None:
        """The owner is known, or only believed, to be dead."""
        self.ended = True
        self._is_known_dead = is_known
        self._resumes = False

    def owner_lives(self) -> None:
        """The owner was only paused: go on with its journal, from the first record that was skipped."""
        self._resumes = True
        self.finished = False

    def look_again(self) -> None:
        """Whether an owner that was believed dead has written since its journal was finished."""
        if self.finished and self._extent() != self._finished_as:
            self.finished = False

    @property
    def relayed_extent(self) -> tuple[int, int] | None:
        """Up to which segment, and which length of it, a finished journal is relayed; None if it is not."""
        return self._finished_as if self.finished else None

    async def turn(self, publish: Publish) -> bool:
        """Publish the next few records.

        Returns:
            Whether there may be more to do at once.

        Raises:
            BrokerError: not all of them were confirmed; the next turn begins with the first of those.
            OSError: the volume failed; the next turn tries again.
        """
        if self._resumes:
            self._resume()
        if self.finished:
            return False
        ended = self.ended
        extent = self._extent() if ended else (0, 0)
        mark = self._look_at_mark()
        position = self._locate(mark, ended=ended)
        if position is None:
            if not ended:
                return False
            await self._finish(publish, extent)
            return True
        chunk = self._read(position, mark, ended=ended)
        if chunk is None:
            return False
        outgoing = await self._prepare(position.segment, chunk.lines, mark, ended=ended)
        await self._publish(publish, outgoing)
        self._position = position = Position(position.segment, chunk.end)
        if chunk.reached is Reached.MORE:
            return True
        if chunk.reached is Reached.BAD:
            self._note_bad_line(position, mark)
        if self._fd_over:
            following = self._next_segment(position.segment, mark, ended=ended)
            if following is not None:
                self._leave_segment(position.segment, following)
                return True
        if ended and self.ended and not self._resumes:
            await self._finish(publish, extent)
            return True
        return bool(chunk.lines)

    def _resume(self) -> None:
        self._resumes = False
        self.ended = False
        self.finished = False
        if self._first_skipped is not None and self._position is not None:
            self._go_to(min(self._position, self._first_skipped))
        self._first_skipped = None
        self._never_answered.clear()

    def _look_at_mark(self) -> Position | None:
        """The furthest mark seen: a torn look at it changes nothing."""
        mark = self.folder.mark()
        if mark is not None and (self._mark is None or mark > self._mark):
            self._mark = mark
        return self._mark

    def _locate(self, mark: Position | None, *, ended: bool) -> Position | None:
        """Where to read on; None if there is nothing (yet)."""
        position = self._position
        if position is None:
            position = self.folder.position(CURSOR) or BEGINNING
            self._cursor = position
        if not ended and (mark is None or position >= mark):
            return None
        if self._fd is None:
            self._fd = None if position == BEGINNING else self.folder.open_segment(position.segment)
            self._fd_over = False
        if self._fd is None:
            number = self._next_segment(position.segment, mark, ended=ended)
            if number is None:
                return None
            position = Position(number, 0)
            self._fd = self.folder.open_segment(number)
            if self._fd is None:
                return None
        self._position = position
        return position

    def _next_segment(self, number: int, mark: Position | None, *, ended: bool) -> int | None:
        """The segment to read after this one; of a living owner none behind that of the mark."""
        for later, done in self.folder.segments().items():
            if later > number and not done and (ended or (mark is not None and later <= mark.segment)):
                return later
        return None

    def _read(self, position: Position, mark: Position | None, *, ended: bool) -> Chunk | None:
        over = ended or mark is None or position.segment < mark.segment
        if over and not self._fd_over:
            # Opened anew, so that a network file system looks at its length again: it is final now.
            self._go_to(position)
            self._fd = self.folder.open_segment(position.segment)
            self._fd_over = True
        if self._fd is None:
            return None
        limit = None if over or mark is None else mark.offset
        return read_chunk(self.folder.fs, self._fd, position.offset, limit, IN_FLIGHT)

    async def _prepare(
        self, segment: int, lines: Sequence[Line], mark: Position | None, *, ended: bool
    ) -> list[_Outgoing]:
        """The messages of these records."""
        behind = [line for line in lines if ended and (mark is None or Position(segment, line.end) > mark)]
        skipped = await self._offload(lambda: self._check(behind)) if behind else frozenset()
        outgoing = []
        for line in lines:
            start = Position(segment, line.start)
            try:
                record = records.parse(line.text)
                if record["sequence"] in skipped:
                    self._skip(start, record)
                    continue
                envelope = envelope_of(self.life, record)
            except RecordError as error:
                self._set_aside(start, line, error)
                continue
            if envelope is not None:
                outgoing.append(_Outgoing(start, envelope))
        return outgoing

    def _check(self, lines: Sequence[Line]) -> frozenset[int]:
        """Make the files of records behind the mark durable; returns the records that were never answered."""
        synced: set[str] = set()
        never = set()
        for line in lines:
            try:
                record = records.parse(line.text)
                if record["record"] != records.INSTANCE_RECEIVED:
                    continue
                path, size = record["message"]["path"], record["message"]["size"]
            except (RecordError, KeyError, TypeError):
                continue  # set aside later
            if not isinstance(path, str) or not self._files.make_durable(path, size, synced):
                never.add(record["sequence"])
        return frozenset(never)

    def _skip(self, start: Position, record: dict[str, Any]) -> None:
        """Pass over a record; the cursor stays, in case that its owner still answers it."""
        if record["sequence"] in self._never_answered:
            return
        self._never_answered.add(record["sequence"])
        if self._first_skipped is None:
            self._first_skipped = start
        self._counts.never_answered += 1
        self._observe(
            "record_never_answered",
            life=self.life,
            sequence=record["sequence"],
            SOPInstanceUID=_text(record, "SOPInstanceUID"),
            SeriesInstanceUID=_text(record, "SeriesInstanceUID"),
        )

    def _set_aside(self, start: Position, line: Line, error: RecordError) -> None:
        if set_aside(self.folder, start.segment, line.text):
            self._counts.set_aside += 1
            self._observe(
                "record_set_aside",
                life=self.life,
                segment=start.segment,
                offset=start.offset,
                reason=str(error),
            )

    async def _publish(self, publish: Publish, outgoing: Sequence[_Outgoing]) -> None:
        """Publish all at once; after a failure go back to the first that was not confirmed."""
        results = await asyncio.gather(*(publish(one.envelope) for one in outgoing), return_exceptions=True)
        for one, result in zip(outgoing, results, strict=True):
            if isinstance(result, BaseException):
                self._position = one.start
                raise result
            self._counts.published += 1

    def _note_bad_line(self, position: Position, mark: Position | None) -> None:
        if self._bad_at == position:
            return
        self._bad_at = position
        self._observe(
            "journal_line_bad",
            life=self.life,
            segment=position.segment,
            offset=position.offset,
            behind_mark=mark is None or position >= mark,
        )

    def _leave_segment(self, number: int, following: int) -> None:
        """The segment is relayed to its end: a lost cursor costs no more than one segment then."""
        self._go_to(Position(following, 0))
        if self._first_skipped is not None:
            return
        path = self.folder.path
        with contextlib.suppress(OSError):
            self.folder.fs.rename(
                f"{path}/{segment_name(number)}", f"{path}/{segment_name(number, done=True)}"
            )

    async def _finish(self, publish: Publish, extent: tuple[int, int]) -> None:
        """The end of an ended life: its open series, and its temporary files.

        Args:
            publish: publishes a message.
            extent: of the journal before its end was read: if it has grown since, this is not the end.
        """
        position = self._position or BEGINNING
        if self.folder.position(FINISHED) != position:
            await self._publish_left_open(publish, position)
        if self._resumes or self._extent() != extent:
            return
        self._write(FINISHED, position)
        self.write_cursor()
        self._remove_incoming()
        self._close_segment()
        self.finished = True
        self._finished_as = extent
        self._observe("journal_finished", life=self.life)

    async def _publish_left_open(self, publish: Publish, position: Position) -> None:
        left = await self._offload(lambda: find_left_open(self.folder, self._never_answered))
        outgoing = []
        for series in left:
            try:
                envelope = broken_off(
                    self.life, series.sequence, series.fields, series.received, series.refused
                )
            except RecordError as error:
                self._observe("series_not_ended", life=self.life, sequence=series.sequence, reason=str(error))
            else:
                outgoing.append(_Outgoing(position, envelope))
        for start in range(0, len(outgoing), IN_FLIGHT):
            await self._publish(publish, outgoing[start : start + IN_FLIGHT])

    def _extent(self) -> tuple[int, int]:
        """How far the journal reaches: its last segment and that one's length."""
        segments = self.folder.segments()
        if not segments:
            return 0, 0
        last, done = max(segments.items())
        try:
            return last, self.folder.fs.stat(f"{self.folder.path}/{segment_name(last, done=done)}").st_size
        except FileNotFoundError:
            return last, 0

    def _remove_incoming(self) -> None:
        """Remove the temporary files of the dead.

        Should the owner live, it answers 0xA700 for what it was about to rename. It needs the folder
        for the next: that goes only if the owner is known to be dead, else with its journal.
        """
        fs = self.folder.fs
        with contextlib.suppress(OSError):
            for name in fs.listdir(self._incoming):
                with contextlib.suppress(OSError):
                    fs.unlink(f"{self._incoming}/{name}")
            if self._is_known_dead:
                fs.rmdir(self._incoming)

    def write_cursor(self) -> None:
        """Remember how far everything is confirmed. Need not succeed."""
        position = self._position
        if position is not None and self._first_skipped is not None:
            position = min(position, self._first_skipped)
        if position is not None and position != self._cursor and self._write(CURSOR, position):
            self._cursor = position

    def _write(self, name: str, position: Position) -> bool:
        try:
            write_position(self.folder, name, position, self._relay_id)
        except OSError:
            return False
        return True

    def _go_to(self, position: Position | None) -> None:
        self._close_segment()
        self._position = position

    def _close_segment(self) -> None:
        fd, self._fd = self._fd, None
        self._fd_over = False
        if fd is not None:
            self.folder.fs.close(fd)

    def close(self) -> None:
        """Close what is open."""
        self._close_segment()
        self.folder.close()


def _text(record: dict[str, Any], keyword: str) -> str | None:
    message = record.get("message")
    value = message.get(keyword) if isinstance(message, dict) else None
    return value if isinstance(value, str) else None
