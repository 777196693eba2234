"""The mark: how far readers may publish, moved over what is durable and settled.

Threads of associations settle their entries while others are committed: all that touches the
progress of the mark, or its file, is done under the one lock of the mark.
"""

import threading
from collections import deque
from collections.abc import Iterable

from lapidicom.common.journal.format import Position
from lapidicom.receiver.journal.entry import Entry
from lapidicom.receiver.journal.life import Life
from lapidicom.receiver.journal.observer import Observer


class Progress:
    """The entries of one life that are durable and not yet passed by the mark, in journal order."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: Entry) -> None:
        """The entry is durable, behind all that were added before."""
        self._entries.append(entry)

    def advance(self) -> Position | None:
        """Where the mark may move now: over the longest prefix of settled entries; None if it must stay."""
        entries = self._entries
        end = None
        while entries and entries[0].settled:
            end = entries.popleft().end
        return end


class Mark:
    """Moves the mark of the present life. All methods may be called by any thread.

    Args:
        observe: told when the mark cannot be written.

    Attributes:
        progress: the entries that it has not passed yet.
        due: where it should be, if it could not be written there.
    """

    def __init__(self, observe: Observer) -> None:
        self._observe = observe
        self._lock = threading.Lock()
        self._life: Life | None = None
        self.progress = Progress()
        self.due: Position | None = None

    def begin(self, life: Life) -> None:
        """Move the mark of this life from now on."""
        with self._lock:
            self._life = life
            self.progress = Progress()
            self.due = None

    def leave(self) -> None:
        """Close the present life: nobody may write to a descriptor that is closed, or another's by now."""
        with self._lock:
            life, self._life = self._life, None
            if life is not None:
                life.close()

    def add(self, entries: Iterable[Entry]) -> None:
        """These entries are durable, one behind the other."""
        with self._lock:
            for entry in entries:
                entry.durable = True
                self.progress.add(entry)
            self._move()

    def settle(self, entry: Entry) -> None:
        """The sync of the entry's folder is done or given up: the mark may pass it."""
        with self._lock:
            entry.settled = True
            self._move()

    def move(self) -> None:
        """Move as far as it may go; try again what failed."""
        with self._lock:
            self._move()

    def move_to(self, position: Position) -> None:
        """Everything before this position is durable and settled."""
        with self._lock:
            self._write(position)

    def _move(self) -> None:
        position = self.progress.advance() or self.due
        if position is not None:
            self._write(position)

    def _write(self, position: Position) -> None:
        life = self._life
        if life is None:
            return
        try:
            life.mark(position)
        except OSError as error:
            if self.due is None:
                self._observe("journal_mark_not_moved", life=life.name, errno=error.errno)
            self.due = position
        else:
            self.due = None
