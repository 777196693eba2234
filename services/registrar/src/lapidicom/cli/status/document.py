"""A judged snapshot as a JSON document; docs/cli.md lists the keys. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

from lapidicom.cli.errors import NotVisible
from lapidicom.cli.status.judgement import Judgement, oldest_unrelayed
from lapidicom.cli.status.snapshot import Snapshot


def document(snapshot: Snapshot, judgement: Judgement) -> dict[str, Any]:
    """The whole document. What is not visible is null, and told with its reason under `not_visible`."""
    not_visible: dict[str, str] = {}
    told = _plain(snapshot, "", not_visible)
    told.pop("held_back_seconds")
    if told["volume"] is not None:
        del told["volume"]["stored"]  # patient data
        not_visible.pop("volume.stored", None)
    if told["cube"] is not None:
        del told["cube"]["remedy"]  # stands in the finding
    told["held_back"] = _plain(snapshot.held_back, "held_back", not_visible)
    told["oldest_unrelayed"] = oldest_unrelayed(snapshot)
    return {
        "status": judgement.level.name.lower(),
        **told,
        "findings": [
            {
                "level": one.level.name.lower(),
                "area": one.area,
                "what": one.what,
                "remedy": one.remedy,
            }
            for one in judgement.findings
        ],
        "not_visible": not_visible,
    }


def _plain(value: Any, path: str, not_visible: dict[str, str]) -> Any:
    match value:
        case NotVisible(reason=reason):
            not_visible[path] = reason
            return None
        case None | str() | int() | float() | datetime():
            return value
        case Mapping():
            return {name: _plain(one, _below(path, name), not_visible) for name, one in value.items()}
        case Sequence():
            return [_plain(one, path, not_visible) for one in value]
        case _ if is_dataclass(value):
            return {
                field.name: _plain(getattr(value, field.name), _below(path, field.name), not_visible)
                for field in fields(value)
            }
        case _:
            raise TypeError(f"{type(value).__name__} is not JSON")


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
