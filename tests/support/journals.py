"""What the journals of a spool say."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lapidicom.common.journal import records
from lapidicom.common.journal.format import FOLDERS, FORMAT, Line, lines


def journal_folders(spool: Path) -> list[Path]:
    """The folders of all journals in the format that this version writes."""
    place = spool / FOLDERS[FORMAT]
    return sorted(place.iterdir()) if place.exists() else []


def all_records(spool: Path) -> Iterator[records.Record]:
    """The records of all lives, each life's in its order; every line must be a good one."""
    for folder in journal_folders(spool):
        for segment in sorted([*folder.glob("*.log"), *folder.glob("*.done")]):
            data = segment.read_bytes()
            data = data[: data.rfind(b"\n") + 1]  # the owner may be writing the last line right now
            for line in lines(data, 0):
                assert isinstance(line, Line), f"a bad line at {line.start} of {segment}"
                yield records.parse(line.text)


def records_of(spool: Path, kind: str, calling: str | None = None) -> list[dict[str, Any]]:
    """The bodies of the records of a kind, such as `instance_received`, of one calling AE title or of all."""
    found = [record.fields() for record in all_records(spool) if record.kind == kind]
    return [one for one in found if calling is None or one.get("calling_ae_title") == calling]
