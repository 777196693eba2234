"""End records that could not be written: kept in memory until a later batch takes them."""

from collections.abc import Iterable
from typing import Final

from lapidicom.receiver.journal.entry import Entry
from lapidicom.receiver.journal.observer import Observer

_MOST_ENTRIES: Final = 10_000
_MOST_BYTES: Final = 8 << 20


class KeptEndRecords:
    """Those of one owner.

    Args:
        observe: told when some are given up.

    Attributes:
        entries: that wait for the next batch.
    """

    def __init__(self, observe: Observer) -> None:
        self._observe = observe
        self.entries: list[Entry] = []

    def take(self) -> list[Entry]:
        """Give them to a batch."""
        entries, self.entries = self.entries, []
        return entries

    def keep(self, batch: Iterable[Entry]) -> None:
        """Keep the end records of a batch that failed; over the bound the newest are given up.

        Their series then stay in the list of open series, and the relay ends them with this life.
        """
        entries = [entry for entry in batch if entry.ends is not None]
        size = 0
        for number, entry in enumerate(entries):
            size += entry.length()
            if number >= _MOST_ENTRIES or size > _MOST_BYTES:
                self._observe("journal_end_records_given_up", entries=len(entries) - number)
                break
            self.entries.append(entry)
