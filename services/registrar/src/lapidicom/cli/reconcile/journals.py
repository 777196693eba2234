"""What the journals tell of the files that are missing, and of files that they call stored and nobody has."""

import os
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from lapidicom.cli.reconcile.findings import Missing, Recorded, Sample
from lapidicom.common.file_system import FileSystem
from lapidicom.common.journal import records
from lapidicom.common.journal.records import time_of
from lapidicom.common.journal.survey import RelayState, Survey, SurveyedRecord

_PATH: Final = re.compile(rb'\{"path":"([^"\\]+)"', re.ASCII)
"""How the receiver writes: the path, which needs no JSON escapes, comes first."""

_KIND: Final = records.INSTANCE_RECEIVED.encode()
_HEAD: Final = 64
_FOLDERS: Final = 16
"""Listings that are kept: records of a series stand together."""

_UNCERTAIN: Final = frozenset({RelayState.BEHIND_MARK, RelayState.NEVER_ANSWERED_OR_RELAYED})
"""Perhaps no success was answered: then a missing file is no loss."""


@dataclass(frozen=True)
class Scope:
    """Which records count for files that are gone.

    Attributes:
        root: the storage root, as we see it.
        pacs: only of this PACS.
        since: only received since then.
    """

    root: Path
    pacs: str | None
    since: datetime | None

    def has(self, path: str, received_at: datetime | None) -> bool:
        """Whether a record is within it."""
        if self.pacs is not None and path.split("/")[2:3] != [self.pacs]:
            return False
        return self.since is None or received_at is None or received_at >= self.since


def attach(
    spool: Path,
    window: Mapping[str, Missing],
    vanished: "VanishedFiles | None",
    advance: Callable[[int], None],
) -> None:
    """Give each missing file its latest record, and let `vanished` look at all records.

    Raises:
        OSError: the journals cannot be read.
    """
    survey = Survey(FileSystem(), str(spool), advance)
    for entry in survey.entries(lambda text: _KIND in text[:_HEAD]):
        found = _PATH.match(entry.record.body)
        path = found[1].decode("utf-8", "replace") if found else str(entry.record.fields().get("path", ""))
        missing = window.get(path)
        if missing is not None:
            _attach(missing, entry)
        if vanished is not None:
            vanished.look(path, entry)


def size(spool: Path) -> int:
    """Bytes of all journals.

    Raises:
        OSError: they cannot be read.
    """
    return Survey(FileSystem(), str(spool)).size()


def _attach(missing: Missing, entry: SurveyedRecord) -> None:
    before, when = missing.record, time_of(entry.record)
    relay = entry.relay
    if before is not None:
        if before.relay in {RelayState.NOT_RELAYED, RelayState.BEHIND_MARK}:
            relay = before.relay
        if when is None or (before.received_at is not None and before.received_at > when):
            missing.record = Recorded(before.lapidicom_id, before.message, relay, before.received_at)
            return
    missing.record = Recorded(entry.lapidicom_id, entry.record.body, relay, when)


class VanishedFiles:
    """Looks for files that a journal calls stored and that are not on the volume.

    Args:
        scope: which records count.
        settled_before: younger ones do not.
    """

    def __init__(self, scope: Scope, settled_before: datetime) -> None:
        self.found = Sample()
        self._scope = scope
        self._settled_before = settled_before
        self._listings: OrderedDict[str, frozenset[str]] = OrderedDict()
        self._told: set[str] = set()

    def look(self, path: str, entry: SurveyedRecord) -> None:
        """Look at one record."""
        folder, _, name = path.rpartition("/")
        if entry.relay in _UNCERTAIN or path in self._told or name in self._listing(folder):
            return
        when = time_of(entry.record)
        if not self._scope.has(path, when) or (when is not None and when > self._settled_before):
            return
        if not (self._scope.root / path).exists():
            self._told.add(path)
            self.found.add(path, entry.lapidicom_id)

    def _listing(self, folder: str) -> frozenset[str]:
        listing = self._listings.get(folder)
        if listing is None:
            try:
                listing = frozenset(os.listdir(self._scope.root / folder))  # noqa: PTH208 (names are enough)
            except (FileNotFoundError, NotADirectoryError):
                listing = frozenset()
            self._listings[folder] = listing
            if len(self._listings) > _FOLDERS:
                self._listings.popitem(last=False)
        return listing
