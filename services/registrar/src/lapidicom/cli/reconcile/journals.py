"""What the journals tell of the files that are missing, and of files that they call stored and nobody has."""

import os
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

from lapidicom.cli.reconcile.fate import IN_HAND, Missing, Recorded
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

Look = Callable[[str, SurveyedRecord], None]


def attach(survey: Survey, window: Mapping[str, Missing], look: Look | None) -> None:
    """Give each missing file its latest record, and let `look` see all records with their paths.

    Raises:
        OSError: the journals cannot be read.
    """
    for entry in survey.entries(lambda text: _KIND in text[:_HEAD]):
        found = _PATH.match(entry.record.body)
        path = found[1].decode("utf-8", "replace") if found else str(entry.record.fields().get("path", ""))
        missing = window.get(path)
        if missing is not None:
            missing.record = _latest(missing.record, entry)
        if look is not None:
            look(path, entry)


def _latest(before: Recorded | None, entry: SurveyedRecord) -> Recorded:
    when, relay = time_of(entry.record), entry.relay
    if before is not None:
        if before.relay in IN_HAND:
            relay = before.relay
        if when is None or (before.received_at is not None and before.received_at > when):
            return Recorded(before.lapidicom_id, before.message, relay, before.received_at)
    return Recorded(entry.lapidicom_id, entry.record.body, relay, when)


class VanishedFiles:
    """Looks for files that a journal calls stored and that are not on the volume.

    Args:
        root: the storage root, as we see it.
        pacs: only of this PACS.
        since: only received since then.
        until: younger ones do not count.
        add: told the path and the id of each one.
    """

    def __init__(
        self,
        root: Path,
        pacs: str | None,
        since: datetime | None,
        until: datetime,
        add: Callable[[str, str], None],
    ) -> None:
        self._root, self._pacs, self._since, self._until, self._add = root, pacs, since, until, add
        self._listing = lru_cache(_FOLDERS)(self._list)
        self._told: set[str] = set()

    def look(self, path: str, entry: SurveyedRecord) -> None:
        """Look at one record."""
        folder, _, name = path.rpartition("/")
        if entry.relay in _UNCERTAIN or path in self._told or name in self._listing(folder):
            return
        if self._pacs not in {None, *path.split("/")[2:3]}:
            return
        when = time_of(entry.record)
        is_meant = when is None or (when <= self._until and (self._since is None or when >= self._since))
        if is_meant and not (self._root / path).exists():
            self._told.add(path)
            self._add(path, entry.lapidicom_id)

    def _list(self, folder: str) -> frozenset[str]:
        try:
            return frozenset(os.listdir(self._root / folder))  # noqa: PTH208 (names are enough)
        except (FileNotFoundError, NotADirectoryError):
            return frozenset()
