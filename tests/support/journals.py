"""What the journals of a spool say."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lapidicom.common.journal import records
from lapidicom.common.journal.format import lines


def all_records(spool: Path) -> Iterator[dict[str, Any]]:
    """The records of all lives, each life's in its order; every line must be a good one."""
    for folder in sorted((spool / "journal").iterdir()):
        for segment in sorted([*folder.glob("*.log"), *folder.glob("*.done")]):
            data = segment.read_bytes()
            data = data[: data.rfind(b"\n") + 1]  # the owner may be writing the last line right now
            end = 0
            for line in lines(data, 0):
                end = line.end
                yield records.parse(line.text)
            assert end == len(data), f"a bad line at {end} of {segment}"


def records_of(spool: Path, kind: str, calling: str | None = None) -> list[dict[str, Any]]:
    """The records of a kind, such as `instance_received`; those of one calling AE title, or all."""
    found = [record for record in all_records(spool) if record["record"] == kind]
    return [one for one in found if calling is None or _calling(one) == calling]


def _calling(record: dict[str, Any]) -> object:
    about = record.get("message") or record.get("series") or record
    return about.get("calling_ae_title")
