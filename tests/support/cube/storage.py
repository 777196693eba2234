"""What the stand-in remembers: registrations, how often each path was created, and CUBE's storage root."""

import datetime
import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Registration:
    """One PACS file that CUBE knows."""

    id: int
    fname: str
    creation_date: str
    tags: dict[str, Any]


class Registrations:
    """All registrations, in memory and, with a state file, one JSON line each.

    A line is written before the answer is sent, so a killed stand-in forgets nothing that it said.
    """

    def __init__(self, root: Path, state: Path | None = None) -> None:
        self.root = os.path.realpath(root)
        self.rows: list[Registration] = []
        self.by_path: dict[str, Registration] = {}
        self.created: Counter[str] = Counter()
        self._file = None
        if state is not None:
            if state.exists():
                for line in state.read_text().splitlines():
                    self._remember(Registration(**json.loads(line)))
            self._file = state.open("a", buffering=1)

    def add(self, fname: str, tags: dict[str, Any]) -> Registration:
        """Register a path."""
        now = datetime.datetime.now(datetime.UTC).isoformat()
        row = Registration(len(self.rows) + 1, fname, now, tags)
        if self._file is not None:
            self._file.write(json.dumps(row.__dict__) + "\n")
        self._remember(row)
        return row

    def clear(self) -> None:
        """Forget everything."""
        self.rows.clear()
        self.by_path.clear()
        self.created.clear()
        if self._file is not None:
            self._file.truncate(0)

    def leaves_root(self, fname: str) -> bool:
        """Whether `..` components lead out of the storage root."""
        return not os.path.normpath(os.path.join(self.root, fname)).startswith(self.root + os.sep)  # noqa: PTH118

    def is_file(self, fname: str) -> bool:
        """Whether the file is in the storage; a directory is not."""
        return os.path.isfile(f"{self.root}/{fname}")  # noqa: PTH113

    def size(self, row: Registration) -> int:
        """Size of the file, bytes; FileNotFoundError where CUBE would answer 500."""
        if self.leaves_root(row.fname):
            raise FileNotFoundError(row.fname)
        return os.stat(f"{self.root}/{row.fname}").st_size  # noqa: PTH116

    def _remember(self, row: Registration) -> None:
        self.rows.append(row)
        self.by_path[row.fname] = row
        self.created[row.fname] += 1
