"""Follows one journal: publishes its records in order, and finishes it when its owner's life has ended.

While the owner lives nothing behind its mark is touched. When it has ended, or seems to, everything
that is readable is published: for a record behind the mark only if its file is there, and after that
file is durable. Nothing is taken from the owner: if it was only paused, its journal is followed on.
A journal in which something stands that this version does not know is left alone from there on.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeVar

from lapidicom.common.broker.publisher import Envelope
from lapidicom.common.journal.chunk import Reached
from lapidicom.common.journal.format import BEGINNING, FINISHED, Line, Position, segment_name
from lapidicom.common.journal.reader import Extent, JournalFolder
from lapidicom.common.journal.records import (
    SEGMENT_OPENED,
    SERIES_ENDED,
    SERIES_STARTED,
    Record,
    UnknownRecord,
)
from lapidicom.receiver.journal.observer import Observer
from lapidicom.receiver.relay.behind_mark import RecordsBehindMark, StoredFiles
from lapidicom.receiver.relay.ended_life import find_left_open, messages_of, remove_incoming
from lapidicom.receiver.relay.messages import OutgoingMessage, envelope_of
from lapidicom.receiver.relay.offload import Offload
from lapidicom.receiver.relay.progress import SeriesProgress
from lapidicom.receiver.relay.questions import Questions
from lapidicom.receiver.relay.reader import (
    CorruptedPlaces,
    Cursor,
    JournalReader,
    RelayCounts,
    write_position,
)
from lapidicom.receiver.relay.spool_sweep import SpoolSweep

T = TypeVar("T")

IN_FLIGHT: Final = 64
"""Messages published and not yet confirmed, at most."""

Publish = Callable[[Envelope], Awaitable[None]]


class Follower:
    """Reads one journal and publishes it.

    Args:
        folder: the journal.
        life: its life, for the ids of its messages.
        files: the stored files.
        incoming: folder of the life's temporary files; removed when the life is finished.
        sweep: removes its open markers then.
        relay_id: of this relay: makes names of temporary files unique.
        counts: what is done is added there.
        observe: called with each event.
        offload: runs what may wait for the disk.
        clock: monotonic seconds.
        progress: of series; None if nobody is told of it.

    Attributes:
        ended: the owner's life has ended, or seems to.
        unknown: what stands in this journal that this version does not know; None if nothing was met.
        relayed_extent: up to where a finished journal is relayed; None if it is not finished.
    """

    def __init__(
        self,
        folder: JournalFolder,
        life: str,
        files: StoredFiles,
        incoming: str,
        sweep: SpoolSweep,
        *,
        relay_id: str,
        counts: RelayCounts,
        observe: Observer,
        offload: Offload,
        clock: Callable[[], float],
        progress: SeriesProgress | None = None,
    ) -> None:
        self.folder: Final = folder
        self.life: Final = life
        self.ended = False
        self.relayed_extent: Extent | None = None
        self.unknown: str | None = None
        self._counts = counts
        self._observe = observe
        self._offload = offload
        self._cursor = Cursor(folder, relay_id)
        self._reader = JournalReader(folder, self._cursor)
        self._files = files
        self._behind_mark = RecordsBehindMark(life, files, clock=clock, counts=counts, observe=observe)
        self._progress = progress
        self._questions = Questions(life, progress, clock) if progress is not None else None
        self._corruption = CorruptedPlaces(folder, life, counts=counts, observe=observe)
        self._torn_at: Position | None = None
        self._ended_at: Position | None = None
        """Where the series left open were ended."""
        self._incoming = incoming
        self._sweep = sweep
        self._relay_id = relay_id
        self._resumes = False
        self._is_known_dead = False

    @property
    def finished(self) -> bool:
        """Whether everything of the ended life is published."""
        return self.relayed_extent is not None

    @property
    def asks(self) -> bool:
        """Whether the PACS' answer, or what waits for it, is still to be published."""
        return self._questions is not None and self._questions.is_any_open

    def owner_ended(self, *, is_known: bool) -> None:
        """The owner is known, or only believed, to be dead."""
        self.ended = True
        self._is_known_dead = is_known
        self._resumes = False

    def owner_lives(self) -> None:
        """The owner was only paused: go on with its journal, from the first record that was skipped."""
        self._resumes = True
        self.relayed_extent = None

    def look_again(self) -> None:
        """Whether an owner that was believed dead has written since its journal was finished."""
        if self.finished and self.folder.extent() != self.relayed_extent:
            self.relayed_extent = None

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
        if self._questions is not None:
            self._counts.published += await self._questions.publish_due(publish)
        if self.finished or self.unknown is not None or self._behind_mark.is_waiting:
            return False
        reader = self._reader
        ended = self.ended
        extent = self.folder.extent() if ended else (0, 0)
        reader.look_at_mark()
        position = reader.locate(ended=ended)
        if position is None:
            return ended and await self._finish(publish, extent)
        chunk = reader.read(position, IN_FLIGHT, ended=ended)
        if chunk is None:
            return False
        stop = await self._relay(publish, position.segment, chunk.lines, ended=ended)
        if stop is not None:
            reader.position = Position(position.segment, stop)
            return False
        for stretch in chunk.bad:
            self._corruption.note(position.segment, stretch)
        reader.position = position = Position(position.segment, chunk.end)
        if chunk.reached is Reached.MORE:
            return True
        if chunk.reached is Reached.TORN:
            self._note_torn(position)
        if reader.is_segment_over:
            following = reader.following(position.segment, ended=ended)
            if following is not None and self.asks:
                return False  # the cursor is to stay in this segment
            if following is not None:
                self._leave_segment(position.segment, following)
                return True
        if ended and self.ended and not self._resumes:
            return await self._finish(publish, extent)
        return False

    def _resume(self) -> None:
        self._resumes = False
        self.ended = False
        self.relayed_extent = None
        position = self._reader.position
        if self._behind_mark.has_skipped and position is not None:
            self._reader.go_to(self._behind_mark.hold_back(position))
        self._behind_mark.forget()

    async def _relay(
        self, publish: Publish, segment: int, lines: Sequence[Line], *, ended: bool
    ) -> int | None:
        """Publish what these lines lead to, behind the mark only that of which the file is there and durable.

        Returns:
            Offset of a record before which to stop for now; None if all of them are dealt with.
        """
        found, unknown = self._read(lines)
        missing = await self._missing(segment, found) if ended else frozenset[int]()
        outgoing = []
        undecided = None
        for line, record in found:
            if record.sequence not in missing:
                envelope = envelope_of(self.life, record)
                if envelope is not None:
                    if record.kind == SERIES_ENDED:
                        place = Position(segment, line.start)
                        if self._questions is not None and self._questions.holds(place, record, envelope):
                            continue
                        envelope = await self._told(envelope)
                    outgoing.append(OutgoingMessage(line.start, envelope))
                elif record.kind == SERIES_STARTED and self._questions is not None:
                    self._questions.ask(Position(segment, line.start), record)
            elif self._behind_mark.is_undecided(record.sequence):
                undecided = line.start
                break
            else:
                self._behind_mark.skip(Position(segment, line.start), record)
        await self._publish(publish, segment, outgoing)
        if undecided is not None or unknown is None:
            return undecided
        offset, self.unknown = unknown
        self._observe("journal_left_alone", life=self.life, reason=self.unknown)
        return offset

    async def _told(self, envelope: Envelope) -> Envelope:
        """A SeriesReceived with what is known beside its record."""
        return envelope if self._progress is None else await self._progress.received(envelope)

    def _read(self, lines: Sequence[Line]) -> tuple[list[tuple[Line, Record]], tuple[int, str] | None]:
        """The records of these lines up to one that is not known; offset of that one, and why it is not."""
        found: list[tuple[Line, Record]] = []
        parse = self.folder.parse
        for line in lines:
            try:
                record = parse(line.text)
                if record.kind == SEGMENT_OPENED:
                    self.folder.check_format(record)
            except UnknownRecord as unknown:
                return found, (line.start, str(unknown))
            found.append((line, record))
        return found, None

    async def _missing(self, segment: int, found: Sequence[tuple[Line, Record]]) -> frozenset[int]:
        """Sequence numbers of the records behind the mark whose file is missing; others are durable."""
        behind = [
            record for line, record in found if self._reader.is_behind_mark(Position(segment, line.end))
        ]
        return await self._offload(lambda: self._behind_mark.check(behind)) if behind else frozenset()

    async def _publish(self, publish: Publish, segment: int, outgoing: Sequence[OutgoingMessage]) -> None:
        """Publish all at once; after a failure go back to the first that was not confirmed."""
        results = await asyncio.gather(*(publish(one.envelope) for one in outgoing), return_exceptions=True)
        for one, result in zip(outgoing, results, strict=True):
            if isinstance(result, BaseException):
                self._reader.position = Position(segment, one.offset)
                raise result
            self._counts.published += 1

    def _note_torn(self, position: Position) -> None:
        if self._torn_at != position:
            self._torn_at = position
            self._observe(
                "journal_tail_torn", life=self.life, segment=position.segment, offset=position.offset
            )

    def _leave_segment(self, number: int, following: int) -> None:
        """The segment is relayed to its end: a lost cursor costs no more than one segment then.

        It keeps its name until the mark has left it: before that the list of open series in the next one may
        not be durable, and a power cut may take a renamed file's old name and not give it the new one.
        """
        mark = self._reader.mark
        self._reader.go_to(Position(following, 0))
        if self._behind_mark.has_skipped or mark is None or mark.segment <= number:
            return
        path = self.folder.path
        with contextlib.suppress(OSError):
            self.folder.fs.rename(
                f"{path}/{segment_name(number)}", f"{path}/{segment_name(number, done=True)}"
            )

    async def _finish(self, publish: Publish, extent: Extent) -> bool:
        """The end of an ended life: its open series, their markers, and its temporary files.

        Args:
            publish: publishes a message.
            extent: of the journal before its end was read: if it has grown since, this is not the end.

        Returns:
            Whether there may be more to do at once.
        """
        if self.asks:
            return False
        end = self._reader.position or BEGINNING
        if self.folder.position(FINISHED) != end:  # noted by any relay
            if self._ended_at != end:
                await self._publish_left_open(publish, end)
                self._ended_at = end
            if self._resumes or self.folder.extent() != extent:
                return True
            await self._offload(partial(self._sweep.remove_markers, self.life))
        if self._resumes or self.folder.extent() != extent:
            return True
        write_position(self.folder, FINISHED, end, self._relay_id)
        self.write_cursor()
        remove_incoming(self.folder.fs, self._incoming, is_known_dead=self._is_known_dead)
        self._reader.close_segment()
        self.relayed_extent = extent
        self._observe("journal_finished", life=self.life)
        return True

    async def _publish_left_open(self, publish: Publish, end: Position) -> None:
        never_answered, mark = self._behind_mark.never_answered, self._reader.mark
        envelopes = await self._offload(
            lambda: messages_of(
                self.life,
                find_left_open(self.folder, mark, never_answered),
                self._files.count,
                self._observe,
            )
        )
        outgoing = [OutgoingMessage(end.offset, await self._told(one)) for one in envelopes]
        for start in range(0, len(outgoing), IN_FLIGHT):
            await self._publish(publish, end.segment, outgoing[start : start + IN_FLIGHT])

    def write_cursor(self) -> None:
        """Remember how far everything is confirmed. Need not succeed."""
        position = self._reader.position
        if position is not None:
            held_back = self._behind_mark.hold_back(position)
            self._cursor.write(self._questions.hold_back(held_back) if self._questions else held_back)

    def close(self) -> None:
        """Close what is open."""
        self._reader.close_segment()
        self.folder.close()
