"""CUBE's database and CUBE's volume: what is registered, and whether the files are there."""

import datetime
import json
import os
import shutil
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


class UniqueViolation(Exception):
    """The database has a row with this path, or this PACS name, already."""


class Registrations:
    """The rows of CUBE's tables, and what was answered, in memory and, with a state file, one JSON line each.

    A line is written before the answer is sent, so a killed stand-in forgets nothing that it said.

    Args:
        state: file that keeps the registrations over a restart.
        unique: whether a second row for a path is refused, as by CUBE's unique constraint. Without it every
            registration is carried out, so that one that came twice is seen as two rows.

    Attributes:
        created: how often each path was answered with 201.
        repeated: how often each path was refused because it was registered.
        pacs: the PACS names that CUBE knows: each is created on first use.
    """

    def __init__(self, state: Path | None = None, *, unique: bool = True) -> None:
        self.unique = unique
        self.rows: list[Registration] = []
        self.created: Counter[str] = Counter()
        self.repeated: Counter[str] = Counter()
        self.pacs: set[str] = set()
        self._rows_of: Counter[str] = Counter()
        self._file = None
        if state is not None:
            if state.exists():
                for line in state.read_text().splitlines():
                    self._read(json.loads(line))
            self._file = state.open("a", buffering=1)

    def refuses(self, fname: str) -> bool:
        """Whether the path is registered and must not be registered again."""
        return self.unique and fname in self._rows_of

    def counts(self) -> Counter[str]:
        """How often each path was registered: a row each, or a 201 each, whichever is more."""
        return self._rows_of | self.created

    def registrations(self) -> list[dict[str, Any]]:
        """Path and fields of each registered file."""
        return [{"path": row.fname, **row.tags} for row in self.rows]

    def add(self, fname: str, tags: dict[str, Any]) -> Registration:
        """Register a path.

        Raises:
            UniqueViolation: a row with this path came in since the caller has looked.
        """
        if self.refuses(fname):
            raise UniqueViolation(fname)
        now = datetime.datetime.now(datetime.UTC).isoformat()
        row = Registration(len(self.rows) + 1, fname, now, tags)
        self._write(row=row.__dict__)
        self._remember(row)
        return row

    def answer_created(self, fname: str) -> None:
        """Count a 201."""
        self._write(created=fname)
        self.created[fname] += 1

    def answer_repeated(self, fname: str) -> None:
        """Count a refusal of a path that is registered."""
        self._write(repeated=fname)
        self.repeated[fname] += 1

    def add_pacs(self, name: str) -> None:
        """Make the row of a PACS.

        Raises:
            UniqueViolation: it came in since the caller has looked.
        """
        if name in self.pacs:
            raise UniqueViolation(name)
        self.pacs.add(name)

    def clear(self) -> None:
        """Forget everything."""
        self.rows.clear()
        for counts in (self._rows_of, self.created, self.repeated):
            counts.clear()
        self.pacs.clear()
        if self._file is not None:
            self._file.truncate(0)

    def _write(self, **line: Any) -> None:
        if self._file is not None:
            self._file.write(json.dumps(line) + "\n")

    def _read(self, line: dict[str, Any]) -> None:
        match line:
            case {"row": row}:
                self._remember(Registration(**row))
            case {"created": fname}:
                self.created[fname] += 1
            case {"repeated": fname}:
                self.repeated[fname] += 1

    def _remember(self, row: Registration) -> None:
        self.rows.append(row)
        self._rows_of[row.fname] += 1
        self.pacs.add(row.tags["pacs_name"])


class Volume:
    """CUBE's storage root.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = os.path.realpath(root)
        self._aside = Path(f"{self.root}.aside")

    def leaves_root(self, fname: str) -> bool:
        """Whether `..` components lead out of the storage root."""
        return not os.path.normpath(os.path.join(self.root, fname)).startswith(self.root + os.sep)  # noqa: PTH118

    def is_file(self, fname: str) -> bool:
        """Whether the file is in the storage; a directory is not."""
        return os.path.isfile(f"{self.root}/{fname}")  # noqa: PTH113

    def size(self, fname: str) -> int:
        """Size of the file, bytes; FileNotFoundError where CUBE would answer 500."""
        if self.leaves_root(fname):
            raise FileNotFoundError(fname)
        return os.stat(f"{self.root}/{fname}").st_size  # noqa: PTH116

    def files_below(self, folder: str) -> list[str]:
        """All files in a folder and in those below it; a file alone is its own list."""
        path = Path(self.root, folder)
        if path.is_file():
            return [folder]
        return [str(file.relative_to(self.root)) for file in path.rglob("*") if file.is_file()]

    def remove_commas(self, folder: str) -> dict[str, str]:
        """Take the commas out of all names below a folder, as CUBE v6 does.

        Returns:
            The new path of each file that has another one now; empty for a file of whose name nothing was
            left, and which is deleted.
        """
        renamed: dict[str, str] = {}
        top = Path(self.root, folder)
        for item in sorted(top.rglob("*"), key=lambda path: len(path.parts), reverse=True):
            old, name = str(item.relative_to(self.root)), item.name.replace(",", "")
            if item.is_dir():
                if not name.strip():
                    for child in item.iterdir():
                        shutil.move(child, item.parent)
                    item.rmdir()
                elif name != item.name:
                    item.rename(item.with_name(name))
            elif not name.strip():
                item.unlink()
                renamed[old] = ""
            else:
                if name != item.name:
                    item.rename(item.with_name(name))
                parts = [part.replace(",", "") for part in item.relative_to(top).parts]
                new = "/".join([folder, *(part for part in parts if part.strip())])
                if new != old:
                    renamed[old] = new
        return renamed

    def remove(self, folder: str) -> None:
        """Delete a folder with all that is in it, or a single file."""
        path = Path(self.root, folder)
        if path.is_file():
            path.unlink()
        else:
            shutil.rmtree(path, ignore_errors=True)

    def swap(self, *, other: bool) -> None:
        """Put another folder in its place, which all who share the path then see.

        Args:
            other: another, empty volume of a CUBE; else a mount point without its volume: an empty folder.
        """
        root = Path(self.root)
        root.rename(self._aside)
        (root / "SERVICES/PACS" if other else root).mkdir(parents=True)

    def put_back(self) -> None:
        """Put the right folder back, if another one is in its place, with all that was written there."""
        if self._aside.exists():
            shutil.rmtree(self.root)
            self._aside.rename(self.root)
