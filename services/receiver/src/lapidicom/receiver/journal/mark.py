"""The mark: how far readers may publish, moved over what is durable and settled.

Threads of associations settle their entries while others are committed. One thread at a time moves
the mark, for all: who finds another at it leaves, instead of waiting for its write.
"""

import threading
from collections import deque
from collections.abc import Iterable

from lapidicom.common.journal.format import Position
from lapidicom.receiver.journal.entry import Entry
from lapidicom.receiver.journal.folder import OwnedJournal
from lapidicom.receiver.journal.observer import Observer


class Mark:
    """Moves the mark of the present journal. All methods may be called by any thread.

    Args:
        observe: called when the mark cannot be written.

    Attributes:
        entries: of the present journal, durable and not yet passed by the mark, in journal order.
        due: where it should be, if it could not be written there.
    """

    def __init__(self, observe: Observer) -> None:
        self._observe = observe
        self._moving = threading.Lock()
        self._journal: OwnedJournal | None = None
        self.entries: deque[Entry] = deque()
        self.due: Position | None = None

    def begin(self, journal: OwnedJournal) -> None:
        """Move the mark of this journal from now on."""
        with self._moving:
            self._journal = journal
            self.entries = deque()
            self.due = None

    def leave(self) -> None:
        """Close the present journal: nobody may write to a descriptor that is closed, or another's by now."""
        with self._moving:
            journal, self._journal = self._journal, None
            if journal is not None:
                journal.close()

    def add(self, entries: Iterable[Entry]) -> None:
        """These entries are durable, one behind the other. Called by one thread at a time."""
        for entry in entries:
            self.note(entry)
        self.move()

    def note(self, entry: Entry) -> None:
        """This entry is durable, behind those before; the mark need not move before it is settled."""
        entry.durable = True
        self.entries.append(entry)

    def settle(self, entry: Entry) -> None:
        """The sync of the entry's folder is done or given up: the mark may pass it."""
        entry.settled = True
        self.move()

    def move(self) -> None:
        """Move as far as it may go; try again what failed."""
        while self._moving.acquire(blocking=False):
            try:
                position = self._advance() or self.due
                if position is not None:
                    self._write(position)
            finally:
                self._moving.release()
            # Whoever was turned away meanwhile relies on this second look.
            if not self._can_advance:
                return

    @property
    def _can_advance(self) -> bool:
        """Whether the mark may move; any thread may ask while another moves it."""
        try:
            return self.entries[0].settled
        except IndexError:
            return False

    def _advance(self) -> Position | None:
        """Where the mark may move now: over the longest prefix of settled entries; None if it must stay."""
        entries = self.entries
        end = None
        while entries and entries[0].settled:
            end = entries.popleft().end
        return end

    def _write(self, position: Position) -> None:
        journal = self._journal
        if journal is None:
            return
        try:
            journal.mark(position)
        except OSError as error:
            if self.due is None:
                self._observe("journal_mark_not_moved", life=journal.name, errno=error.errno)
            self.due = position
        else:
            self.due = None
