"""The journal of an owner of the version before, which wrote format 1: without threads, for the simulation.

It keeps to the rules that docs/journal.md had then. Where that version went on with a new life, because its
journal had been deleted under it, this one ends.
"""

import contextlib
import json
import os
from collections import deque
from pathlib import Path
from typing import Any
from zlib import crc32

from lapidicom.common.file_system import DIRECTORY, FileSystem
from lapidicom.common.journal import records
from lapidicom.common.journal.format import (
    COMMITTED,
    HEARTBEAT,
    PARENT,
    Heartbeat,
    Position,
    encode_position,
    folder_name,
    segment_name,
)
from lapidicom.common.journal.records import SeriesKey
from lapidicom.receiver.journal.entry import Entry

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


class JournalOfFormat1:
    """What an owner asks of its journal; see `GroupCommit`.

    Args:
        file_system: the system calls.
        spool: the spool directory.
        receiver_id: CHRIS_RECEIVER_ID.
        life: UUID, hex.
        parent: who started the owner.
        segment_limit: bytes of a segment.

    Raises:
        OSError: the folder cannot be made durable.
    """

    def __init__(
        self,
        file_system: FileSystem,
        spool: Path,
        receiver_id: str,
        life: str,
        parent: str,
        segment_limit: int,
    ) -> None:
        self._fs = file_system
        self._receiver = receiver_id
        self._limit = segment_limit
        self.life_id = life
        self.folder = folder_name(receiver_id, life)
        self._path = f"{spool}/journal/{self.folder}"
        with contextlib.suppress(FileExistsError):
            file_system.mkdir(f"{spool}/journal", 0o750)
        file_system.mkdir(self._path, 0o750)
        for folder in (f"{spool}/journal", str(spool), str(spool.parent)):
            self._sync_folder(folder)
        self._beats = Heartbeat(0)
        self._write(self._create(PARENT), parent.encode())
        self._heartbeat, self._committed = self._create(HEARTBEAT), self._create(COMMITTED)
        self.beat()
        self._waiting: list[Entry] = []
        self._unmarked: deque[Entry] = deque()
        self._open: dict[SeriesKey, dict[str, Any]] = {}
        self._sequence = self._segment = self._size = 0
        self._fd: int | None = None

    def submit(self, entry: Entry) -> None:
        """Let the entry wait for the next batch."""
        self._waiting.append(entry)

    def commit_waiting(self) -> None:
        """Commit all that waits as one batch.

        Raises:
            OSError: the journal was deleted: the owner was taken for dead.
        """
        batch, self._waiting = self._waiting, []
        if not batch:
            return
        try:
            self._commit(batch)
        except OSError as error:
            self._fd = None
            for entry in batch:
                entry.failure = error
            if not self._is_there():
                raise

    def settle(self, entry: Entry) -> None:
        """The sync of the entry's folder is done or given up: the mark may pass it."""
        entry.settled = True
        self._move_mark()

    def beat(self) -> None:
        """Show that the owner lives."""
        self._beats = Heartbeat(self._beats.count + 1)
        self._fs.pwrite(self._heartbeat, self._beats.encode(), 0)

    def _commit(self, batch: list[Entry]) -> None:
        is_new = self._fd is None or self._size > self._limit
        if is_new:
            self._segment += 1
            self._fd, self._size = self._create(segment_name(self._segment)), 0
        assert self._fd is not None
        lines = [self._line(self._header())] if is_new else []
        ends = []
        for entry in batch:
            if entry.starts is not None:
                lines.append(self._line(_of_format_1(entry.starts)))
                entry.started_as = self._sequence
            lines += [self._line(_of_format_1(body)) for body in entry.bodies]
            ends.append(self._size + sum(map(len, lines)))
        self._write(self._fd, b"".join(lines))
        self._fs.fdatasync(self._fd)
        if not self._fs.fstat(self._fd).st_nlink:
            raise FileNotFoundError
        if is_new:
            self._sync_folder(self._path)
        self._size = ends[-1]
        for entry, end in zip(batch, ends, strict=True):
            entry.end = Position(self._segment, end)
            entry.durable = True
            self._unmarked.append(entry)
            self._take(entry)
        self._move_mark()

    def _take(self, entry: Entry) -> None:
        if entry.series is not None and entry.starts is not None and entry.series not in self._open:
            series = records.parse(b"0\t" + entry.starts).fields()
            self._open[entry.series] = {
                "sequence": entry.started_as, "received": 0, "refused": 0, "series": series
            }  # fmt: skip
        if entry.series in self._open:
            self._open[entry.series]["received"] += 1
        for ended in entry.ends or ():
            self._open.pop(ended, None)

    def _move_mark(self) -> None:
        position = None
        while self._unmarked and self._unmarked[0].settled:
            position = self._unmarked.popleft().end
        if position is not None:
            with contextlib.suppress(OSError):
                self._fs.pwrite(self._committed, encode_position(position), 0)

    def _header(self) -> dict[str, Any]:
        return {
            "record": records.SEGMENT_OPENED,
            "format": 1,
            "life": self.life_id,
            "receiver": self._receiver,
            "opened_at": "2024-01-02T03:04:05.678+00:00",
            "open_series": list(self._open.values()),
        }

    def _line(self, record: dict[str, Any]) -> bytes:
        self._sequence += 1
        text = json.dumps({"sequence": self._sequence, **record}, separators=(",", ":")).encode()
        return b"%08x %b\n" % (crc32(text), text)

    def _create(self, name: str) -> int:
        return self._fs.open(f"{self._path}/{name}", _NEW, 0o640)

    def _write(self, fd: int, data: bytes) -> None:
        if self._fs.write(fd, data) != len(data):
            raise OSError("short write")

    def _sync_folder(self, path: str) -> None:
        fd = self._fs.open(path, DIRECTORY)
        try:
            self._fs.fsync(fd)
        finally:
            self._fs.close(fd)

    def _is_there(self) -> bool:
        try:
            self._fs.stat(self._path)
        except OSError:
            return False
        return True


def _of_format_1(body: bytes) -> dict[str, Any]:
    """A record as that version wrote it."""
    record = records.parse(b"0\t" + body)
    name = "series" if record.kind == records.SERIES_STARTED else "message"
    return {"record": record.kind, name: record.fields()}
