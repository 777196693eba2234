"""What the journals tell of the files that are missing, and of files that they call stored and nobody has."""

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

from lapidicom.cli.reconcile.fate import Missing
from lapidicom.common.journal import records
from lapidicom.common.journal.records import time_of
from lapidicom.common.journal.survey import RelayState, Survey

_HEAD: Final = 64
"""Bytes of a line within which its kind stands."""

_FOLDERS: Final = 16
"""Listings that are kept: records of a series stand together."""

_UNCERTAIN: Final = frozenset({RelayState.BEHIND_MARK, RelayState.NEVER_ANSWERED_OR_RELAYED})
"""Perhaps no success was answered: then a missing file is no loss."""


def attach(survey: Survey, window: Mapping[str, Missing]) -> None:
    """Let each missing file note its records.

    Raises:
        OSError: the journals cannot be read.
    """
    for entry in survey.entries(_is_reception):
        missing = window.get(str(entry.record.fields().get("path")))
        if missing is not None:
            missing.note(entry)


def look_for_vanished(
    survey: Survey,
    root: Path,
    pacs: str | None,
    since: datetime | None,
    until: datetime,
    add: Callable[[str, str], None],
) -> None:
    """Look for files that a journal calls stored and that are not on the volume.

    Args:
        survey: of the journals.
        root: the storage root, as we see it.
        pacs: only of this PACS.
        since: only received since then.
        until: younger ones do not count.
        add: called with path and id of each one.

    Raises:
        OSError: the journals cannot be read.
    """

    @lru_cache(_FOLDERS)
    def names(folder: str) -> frozenset[str]:
        try:
            return frozenset(os.listdir(root / folder))  # noqa: PTH208 (names are enough)
        except (FileNotFoundError, NotADirectoryError):
            return frozenset()

    found = set()
    for entry in survey.entries(_is_reception):
        path = str(entry.record.fields().get("path"))
        folder, _, name = path.rpartition("/")
        if entry.relay in _UNCERTAIN or path in found or name in names(folder):
            continue
        when = time_of(entry.record)
        is_meant = when is None or (when <= until and (since is None or when >= since))
        is_of_pacs = pacs is None or path.split("/")[2:3] == [pacs]
        if is_meant and is_of_pacs and not (root / path).exists():
            found.add(path)
            add(path, entry.lapidicom_id)


def _is_reception(line: bytes) -> bool:
    return records.INSTANCE_RECEIVED.encode() in line[:_HEAD]
