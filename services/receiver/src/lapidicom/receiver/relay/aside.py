"""Records of which no message can be made: kept beside their segment, for an operator."""

import os
from typing import Final

from lapidicom.common.journal.format import FILE_MODE, aside_name
from lapidicom.common.journal.reader import JournalFolder
from lapidicom.receiver.journal.life import DIRECTORY

_APPEND: Final = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
_BLOCK: Final = 1 << 20


def set_aside(folder: JournalFolder, segment: int, text: bytes) -> bool:
    """Keep the JSON text of a record, durably, once however often its journal is read.

    Returns:
        Whether it is new there.

    Raises:
        OSError: it could not be kept: the record must not be passed over.
    """
    fs = folder.fs
    fd = fs.open(f"{folder.path}/{aside_name(segment)}", _APPEND, FILE_MODE)
    try:
        if text in _content(folder, fd).split(b"\n"):
            return False
        line = text + b"\n"
        if fs.write(fd, line) != len(line):
            raise OSError("a record was set aside in part only")
        fs.fsync(fd)
    finally:
        fs.close(fd)
    folder_fd = fs.open(folder.path, DIRECTORY)
    try:
        fs.fsync(folder_fd)
    finally:
        fs.close(folder_fd)
    return True


def _content(folder: JournalFolder, fd: int) -> bytes:
    blocks = []
    offset = 0
    while block := folder.fs.pread(fd, _BLOCK, offset):
        blocks.append(block)
        offset += len(block)
    return b"".join(blocks)
