"""Notes, for operators, of where a journal was found corrupted: see common/journal/bad_lines.py."""

import contextlib
import os
from typing import Final

from lapidicom.common.journal.bad_lines import look_around, noted_bad_lines
from lapidicom.common.journal.format import FILE_MODE, BadStretch, bad_lines_name
from lapidicom.common.journal.reader import JournalFolder
from lapidicom.receiver.journal.observer import Observer
from lapidicom.receiver.relay.reader import Counts

_APPEND: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


class Corruption:
    """The corrupted places of one journal.

    Args:
        folder: the journal.
        life: its life.
        counts: each place is added there.
        observe: called for each place, once.
    """

    def __init__(self, folder: JournalFolder, life: str, *, counts: Counts, observe: Observer) -> None:
        self._folder = folder
        self._life = life
        self._counts = counts
        self._observe = observe
        self._known: set[tuple[int, int]] | None = None

    def note(self, segment: int, stretch: BadStretch) -> None:
        """Note a place. Its file need not be written: then there is only the event.

        Raises:
            OSError: the journal cannot be read.
        """
        if self._known is None:
            noted = noted_bad_lines(self._folder)
            self._known = {(one.start.segment, one.start.offset + one.length) for one in noted}
        if (segment, stretch.end) in self._known:
            return
        self._known.add((segment, stretch.end))
        found = look_around(self._folder, segment, stretch)
        self._counts.lines_bad += 1
        self._observe(
            "journal_line_bad",
            life=self._life,
            segment=segment,
            offset=stretch.start,
            length=found.length,
            after=found.after and found.after.isoformat(),
            before=found.before and found.before.isoformat(),
        )
        with contextlib.suppress(OSError):
            self._append(bad_lines_name(segment), found.encode())

    def _append(self, name: str, line: bytes) -> None:
        fs = self._folder.fs
        fd = fs.open(f"{self._folder.path}/{name}", _APPEND, FILE_MODE)
        try:
            fs.write(fd, line)
        finally:
            fs.close(fd)
