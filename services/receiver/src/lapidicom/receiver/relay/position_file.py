"""The cursor, and the note that a life is finished: small files, replaced as a whole, never synced."""

import os
from typing import Final

from lapidicom.receiver.journal.format import FILE_MODE, Position, encode_position
from lapidicom.receiver.journal.reader import JournalFolder

_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


def write_position(folder: JournalFolder, name: str, position: Position, writer: str) -> None:
    """Replace a file by one that says `position`.

    Args:
        folder: of the journal.
        name: of the file.
        position: what it shall say.
        writer: who writes: two relays never share a temporary file.

    Raises:
        OSError: it could not be written; the former content stays.
    """
    replace_file(folder, name, encode_position(position), writer)


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
