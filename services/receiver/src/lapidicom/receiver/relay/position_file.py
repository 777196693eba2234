"""The cursor, and the note that a life is finished: small files, replaced as a whole, never synced."""

import os
from typing import Final

from lapidicom.common.journal.format import BEGINNING, CURSOR, FILE_MODE, Position, encode_position
from lapidicom.common.journal.reader import JournalFolder

_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


class Cursor:
    """Up to where everything of a journal is confirmed.

    Args:
        folder: of the journal.
        writer: who writes: two relays never share a temporary file.
    """

    def __init__(self, folder: JournalFolder, writer: str) -> None:
        self._folder = folder
        self._writer = writer
        self._written: Position | None = None

    def read(self) -> Position:
        """Where it stands; the beginning if that is unknown."""
        self._written = self._folder.position(CURSOR) or BEGINNING
        return self._written

    def write(self, position: Position) -> None:
        """Let it stand there. Need not succeed."""
        if position != self._written and write_position(self._folder, CURSOR, position, self._writer):
            self._written = position


def write_position(folder: JournalFolder, name: str, position: Position, writer: str) -> bool:
    """Replace a file by one that says `position`.

    Args:
        folder: of the journal.
        name: of the file.
        position: what it shall say.
        writer: who writes: two relays never share a temporary file.

    Returns:
        Whether it could be written; if not, the former content stays.
    """
    try:
        replace_file(folder, name, encode_position(position), writer)
    except OSError:
        return False
    return True


def replace_file(folder: JournalFolder, name: str, data: bytes, writer: str) -> None:
    """Replace a small file.

    Raises:
        OSError: it could not be written; the former content stays.
    """
    temporary = f"{folder.path}/{name}.{writer}"
    fd = folder.fs.open(temporary, _WRITE, FILE_MODE)
    try:
        folder.fs.write(fd, data)
    finally:
        folder.fs.close(fd)
    folder.fs.rename(temporary, f"{folder.path}/{name}")
