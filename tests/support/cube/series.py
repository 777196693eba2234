"""The database of CUBE v6: folders, PACS, files and series, each made by a statement of its own."""

import datetime
import json
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.support.cube.storage import UniqueViolation

TOP = frozenset({"", "SERVICES", "SERVICES/PACS"})
"""Folders that every CUBE has."""


@dataclass(frozen=True)
class Pacs:
    """A PACS, made by its first series."""

    id: int
    identifier: str


@dataclass(frozen=True)
class File:
    """A file that CUBE knows, in a folder that CUBE knows."""

    id: int
    fname: str
    creation_date: str

    @property
    def folder(self) -> str:
        """Its folder's path."""
        return self.fname.rpartition("/")[0]


@dataclass(frozen=True)
class Series:
    """A registered series."""

    id: int
    folder: str
    creation_date: str
    tags: dict[str, Any]
    deletion_status: str = "inactive"
    deletion_requested_at: str | None = None
    deletion_error: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What is unique: the PACS' name and the SeriesInstanceUID."""
        return _key(self.tags)


@dataclass
class _Tables:
    folders: dict[str, int] = field(
        default_factory=lambda: {path: id_ for id_, path in enumerate(sorted(TOP), 1)}
    )
    pacs: dict[str, Pacs] = field(default_factory=dict)
    files: dict[int, File] = field(default_factory=dict)
    series: dict[int, Series] = field(default_factory=dict)
    last: int = len(TOP)


class SeriesDatabase:
    """The rows, in memory and, with a state file, one JSON line for each statement.

    A statement is written before it is answered: a killed stand-in forgets nothing that it said.

    Args:
        state: file that keeps the rows over a restart.
        unique: whether CUBE's unique constraints hold. Without them every registration is carried out, so
            that one that came twice is seen as two rows.

    Attributes:
        created: how often each series' folder was answered with 201.
        repeated: how often a registration of it was refused because the series was registered.
    """

    def __init__(self, state: Path | None = None, *, unique: bool = True) -> None:
        self.unique = unique
        self.created: Counter[str] = Counter()
        self.repeated: Counter[str] = Counter()
        self._tables = _Tables()
        self._file = None
        if state is not None:
            if state.exists():
                for line in state.read_text().splitlines():
                    self._apply(**json.loads(line))
            self._file = state.open("a", buffering=1)

    @property
    def series(self) -> list[Series]:
        """All registered series, the oldest first."""
        return list(self._tables.series.values())

    @property
    def files(self) -> list[File]:
        """All files, the oldest first."""
        return list(self._tables.files.values())

    @property
    def pacs(self) -> dict[str, Pacs]:
        """All PACS by name."""
        return self._tables.pacs

    @property
    def folders(self) -> dict[str, int]:
        """The ids of all folders by path."""
        return self._tables.folders

    def counts(self) -> Counter[str]:
        """How often each series' folder was registered: a row each, or a 201 each, whichever is more."""
        return Counter(series.folder for series in self.series) | self.created

    def registrations(self) -> list[dict[str, Any]]:
        """Path, number of files and fields of each registered series."""
        return [
            {"path": one.folder, "ndicom": len(self.files_below(one.folder)), **one.tags}
            for one in self.series
        ]

    def files_below(self, folder: str) -> list[File]:
        """The files in a folder and in those below it."""
        return [file for file in self.files if file.fname.startswith(f"{folder}/")]

    def find(self, key: tuple[str, str]) -> Series | None:
        """The series of a PACS' name and a SeriesInstanceUID."""
        return next((one for one in self.series if one.key == key), None)

    def missing_folders(self, path: str) -> list[str]:
        """The folder and those above it that are not there, the topmost first."""
        missing = []
        while path not in self.folders:
            missing.append(path)
            path = path.rpartition("/")[0]
        return missing[::-1]

    def add_folders(self, paths: list[str]) -> None:
        """Make folders.

        Raises:
            UniqueViolation: one of them came in since the caller has looked.
        """
        if self.unique and any(path in self.folders for path in paths):
            raise UniqueViolation
        if paths:
            self._do(folders=paths)

    def add_pacs(self, name: str) -> None:
        """Make a PACS.

        Raises:
            UniqueViolation: it came in since the caller has looked.
        """
        if self.unique and name in self.pacs:
            raise UniqueViolation(name)
        self._do(pacs=name)

    def add_files(self, fnames: list[str]) -> None:
        """Make the rows of files, all or none.

        Raises:
            UniqueViolation: one of them is there.
        """
        known = {file.fname for file in self.files}
        if self.unique and not known.isdisjoint(fnames):
            raise UniqueViolation
        self._do(files=fnames, now=_now())

    def add_series(self, folder: str, tags: dict[str, Any]) -> Series:
        """Make the row of a series.

        Raises:
            UniqueViolation: there is one of this key, or of this folder.
        """
        if self.unique and any(one.folder == folder or one.key == _key(tags) for one in self.series):
            raise UniqueViolation(folder)
        self._do(series=folder, tags=tags, now=_now())
        return self.series[-1]

    def mark_pending(self, series: Series) -> Series:
        """Note that a series is to be deleted."""
        self._do(pending=series.id, now=_now())
        return self._tables.series[series.id]

    def delete_series(self, series: Series) -> None:
        """Delete the rows of a series, of its files, and of its folders."""
        self._do(deleted=series.id)

    def delete_file(self, file: File) -> None:
        """Delete the row of a file."""
        self._do(file_deleted=file.id)

    def answer_created(self, folder: str) -> None:
        """Count a 201."""
        self._do(created=folder)

    def answer_repeated(self, folder: str) -> None:
        """Count a refusal of a series that is registered."""
        self._do(repeated=folder)

    def clear(self) -> None:
        """Forget everything."""
        self.created.clear()
        self.repeated.clear()
        self._tables = _Tables()
        if self._file is not None:
            self._file.truncate(0)

    def _do(self, **statement: Any) -> None:
        if self._file is not None:
            self._file.write(json.dumps(statement) + "\n")
        self._apply(**statement)

    def _apply(self, **statement: Any) -> None:
        tables = self._tables
        match statement:
            case {"folders": paths}:
                for path in paths:
                    tables.folders[path] = self._next_id()
            case {"pacs": name}:
                tables.pacs[name] = Pacs(self._next_id(), name)
            case {"files": fnames, "now": now}:
                for fname in fnames:
                    file = File(self._next_id(), fname, now)
                    tables.files[file.id] = file
            case {"series": folder, "tags": tags, "now": now}:
                series = Series(self._next_id(), folder, now, tags)
                tables.series[series.id] = series
            case {"pending": id_, "now": now}:
                old = tables.series[id_]
                tables.series[id_] = replace(old, deletion_status="pending", deletion_requested_at=now)
            case {"deleted": id_}:
                folder = tables.series.pop(id_).folder
                for file in self.files_below(folder):
                    del tables.files[file.id]
                for path in [path for path in tables.folders if f"{path}/".startswith(f"{folder}/")]:
                    del tables.folders[path]
            case {"file_deleted": id_}:
                del tables.files[id_]
            case {"created": folder}:
                self.created[folder] += 1
            case {"repeated": folder}:
                self.repeated[folder] += 1

    def _next_id(self) -> int:
        self._tables.last += 1
        return self._tables.last


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat()


def _key(tags: dict[str, Any]) -> tuple[str, str]:
    return tags["pacs_name"], tags["SeriesInstanceUID"]
