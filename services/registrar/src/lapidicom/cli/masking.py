"""Patient data is masked unless an operator asks for it. Pure code.

What is not known to be harmless counts as patient data: a field that is new is masked.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from lapidicom.registrar.consumer.headers import ANSWER

MASK: Final = "***"

HARMLESS_FIELDS: Final = frozenset(
    {
        "pacs_name",
        "SOPClassUID",
        "SOPInstanceUID",
        "TransferSyntaxUID",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "Modality",
        "association_id",
        "calling_ae_title",
        "called_ae_title",
        "peer_address",
        "receiver",
        "received_at",
        "ended_at",
        "size",
        "received",
        "refused",
        "ok",
    }
)
"""Fields of a message that tell nothing about a patient."""

_FILE_NAME = re.compile(r"[0-9]+-[0-9.]+\.dcm", re.ASCII)
_UID = re.compile(r"[0-9.]{1,64}", re.ASCII)


def masked_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a message with patient data masked."""
    return {name: _masked(name, value) for name, value in fields.items()}


def masked_headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Our headers with CUBE's answer masked: the only one that may hold patient data."""
    return {name: MASK if name == ANSWER else value for name, value in headers.items()}


def masked_path(path: str) -> str:
    """A path of ours without its patient, study and series folders: they bear names and descriptions."""
    parts = path.split("/")
    if len(parts) < 4 or parts[:2] != ["SERVICES", "PACS"]:
        return MASK
    is_file = _FILE_NAME.fullmatch(parts[-1]) is not None
    return "/".join((*parts[:3], *(MASK for _ in parts[4:]), parts[-1] if is_file else MASK))


def _masked(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in {"path", "folder"}:
        return masked_path(value) if isinstance(value, str) else MASK
    if name not in HARMLESS_FIELDS:
        return MASK
    if name.endswith("UID") and not (isinstance(value, str) and _UID.fullmatch(value)):
        return MASK
    return value if isinstance(value, str | int | float | bool) else MASK
