"""Writes an export: only its owner may read it, and it is there whole and durable, or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from lapidicom.cli.connection import operator
from lapidicom.cli.dead_letters.export import Exported, first_line, last_line, line
from lapidicom.cli.errors import ExitStatus, OperatorError


class ExportFile:
    """An export that is being written.

    Attributes:
        count: messages so far.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.count = 0

    def write(self, message: Exported) -> None:
        """Add a message."""
        self._file.write(f"{line(message)}\n")
        self.count += 1


@contextmanager
def export_file(path: Path) -> Iterator[ExportFile]:
    """Write an export beside its place; when the block ends well it is fsynced and put there.

    Raises:
        OperatorError: the file exists, or cannot be written.
    """
    if path.exists():
        raise OperatorError(f"{path} exists", "name a new file", ExitStatus.UNUSABLE)
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 (a descriptor)
            file.write(f"{first_line(datetime.now(UTC).isoformat(), operator())}\n")
            export = ExportFile(file)
            yield export
            file.write(f"{last_line(export.count)}\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(name, path)  # unlike a rename it never replaces a file that has come meanwhile
        _sync_folder(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        with suppress(OSError):
            Path(name).unlink()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(path: Path, error: OSError) -> OperatorError:
    return OperatorError(
        f"{path} cannot be written ({error.strerror or type(error).__name__})",
        "name a file in a folder of yours, with space",
        ExitStatus.UNUSABLE,
    )
