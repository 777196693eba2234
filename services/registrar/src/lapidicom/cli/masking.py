"""Patient data is masked unless an operator asks for it. Pure.

What may be shown is listed: a field, a header or a text of CUBE's that is new is masked.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from lapidicom.cli.causes import known_reason
from lapidicom.common.headers import HEADER_EXPECTED, HEADER_ID, HEADER_PROGRESS_SPACE, HEADER_VERSION
from lapidicom.registrar.consumer import headers as registrar
from lapidicom.registrar.cube.contract import IDENTITY_LIMITS, TEXT_LIMITS

MASK: Final = "***"
HIDDEN: Final = "…"
"""Stands for a part of CUBE's answer that is not known to be harmless."""

CUBE_TEXTS: Final = (
    "This field is required.",
    "This field may not be blank.",
    "This field may not be null.",
    "Ensure this field has no more than … characters.",
    "Ensure this value is less than or equal to ….",
    "Ensure this value is greater than or equal to ….",
    "Date has wrong format. Use one of these formats instead: YYYY-MM-DD.",
    "A valid integer is required.",
    "… is not a valid choice.",
    "Not a valid string.",
    "Null characters are not allowed.",
    "Surrogate characters are not allowed: ….",
    "File has already been registered.",
    "Could not find this path.",
    "File path must start with ….",
    "This field must start with ….",
    "The path field must start with ….",
    "Invalid path …. Cannot contain commas.",
    "pacs with this identifier already exists.",
    "The number of DICOM files found under … was different from the … field",
    "A DICOM series with … already registered for pacs …",
    "This field must be a postive integer. Got ….",
    "Internal server error",
    "Invalid token.",
    "Invalid username/password.",
    "Unable to log in with provided credentials.",
    "Authentication credentials were not provided.",
    "You do not have permission to perform this action.",
    "Not found.",
    "Method … not allowed.",
    "Unsupported media type … in request.",
    "JSON parse error - …",
)
"""What CUBE says, v5 and v6, with its own spelling; `…` stands for a value, which is never shown."""

_TEXTS: Final = {text: re.compile(re.escape(text).replace(HIDDEN, ".*"), re.DOTALL) for text in CUBE_TEXTS}
_NAMES: Final = frozenset(
    {
        *(*IDENTITY_LIMITS, *TEXT_LIMITS, "StudyDate", "PatientBirthDate", "PatientAge", "PatientSex"),
        *("path", "ndicom", "non_field_errors", "detail", "error"),
    }
)
"""Keys of CUBE's errors."""

_PAGES: Final = frozenset(
    {
        *(f"{status} {status.phrase}" for status in HTTPStatus),
        *(f"{status.phrase} ({status})" for status in HTTPStatus),
        *("Server Error (500)", "504 Gateway Time-out", "413 Request Entity Too Large"),
    }
)
"""Titles of pages that CUBE's framework and usual proxies answer with."""

_TITLE: Final = re.compile(r"<(title|h1)[^>]*>\s*(.*?)\s*</\1>", re.IGNORECASE | re.DOTALL)
_FILE_NAME: Final = re.compile(r"[0-9]+-[0-9.]+\.dcm", re.ASCII)
_PACS: Final = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
_WORD: Final = re.compile(r"[A-Za-z0-9._:,+=@-]*", re.ASCII)
_UID: Final = re.compile(r"[0-9.]{1,64}", re.ASCII)


def masked_path(path: str) -> str:
    """A path of ours without its patient, study and series folders: they bear names and descriptions."""
    parts = path.split("/")
    if len(parts) < 4 or parts[:2] != ["SERVICES", "PACS"] or not _PACS.fullmatch(parts[2]):
        return MASK
    is_file = _FILE_NAME.fullmatch(parts[-1]) is not None
    return "/".join((*parts[:3], *(MASK for _ in parts[4:]), parts[-1] if is_file else MASK))


def known_word(text: str) -> str:
    """A name or id of ours; what has a blank, say, was written by somebody else and is masked."""
    return text if _WORD.fullmatch(text) else MASK


def known_answer(answer: str) -> str:
    """Of CUBE's answer what it is known to say; `…` for the rest.

    Args:
        answer: JSON, HTML or text; perhaps cut off.
    """
    try:
        errors = json.loads(answer)
    except (ValueError, RecursionError):
        errors = None
    if isinstance(errors, dict):
        known = (
            f"{name if name in _NAMES else HIDDEN}: {' '.join(map(_known, _texts(value))) or HIDDEN}"
            for name, value in sorted(errors.items())
        )
        return "; ".join(dict.fromkeys(known))
    if isinstance(errors, list):
        return " ".join(dict.fromkeys(map(_known, _texts(errors))))
    title = _TITLE.search(answer)
    if title is not None:
        return title[2] if title[2] in _PAGES else HIDDEN
    said = [text for text in CUBE_TEXTS if HIDDEN not in text and text in answer]
    return " ".join([*said, HIDDEN]) if answer.strip() else ""


def _known(text: str) -> str:
    return next((known for known, pattern in _TEXTS.items() if pattern.fullmatch(text)), HIDDEN)


def _texts(value: object) -> Iterator[str]:
    match value:
        case list():
            for item in value:
                yield from _texts(item)
        case dict():
            yield from _texts(list(value.values()))
        case _:
            yield str(value)


def _known_uid(text: str) -> str:
    return text if _UID.fullmatch(text) else MASK


FIELDS: Final[Mapping[str, Callable[[str], str]]] = {
    **dict.fromkeys(("Modality", "calling_ae_title", "called_ae_title", "peer_address", "receiver"), str),
    **dict.fromkeys(("association_id", "received_at", "ended_at", "touched", "since", "first_look"), str),
    **dict.fromkeys(("size", "received", "refused", "ok", "files", "expected", "count"), str),
    **dict.fromkeys(("SOPClassUID", "SOPInstanceUID", "TransferSyntaxUID"), _known_uid),
    **dict.fromkeys(("StudyInstanceUID", "SeriesInstanceUID"), _known_uid),
    **dict.fromkeys(("path", "folder"), masked_path),
    "NumberOfSeriesRelatedInstances": str,
    "pacs_name": known_word,
}
"""The fields of a message that are shown, and how their texts are."""

_HEADERS: Final[Mapping[str, Callable[[str], str]]] = {
    **dict.fromkeys((HEADER_ID, HEADER_VERSION, HEADER_EXPECTED, HEADER_PROGRESS_SPACE), known_word),
    **dict.fromkeys(("traceparent", "tracestate", "lapidicom-reconcile", "lapidicom-replay"), known_word),
    **dict.fromkeys(("lapidicom-replays", "lapidicom-replayed-at", "lapidicom-edited"), known_word),
    **dict.fromkeys(("lapidicom-former-http-status", "lapidicom-former-attempts"), known_word),
    **dict.fromkeys((registrar.ATTEMPTS, registrar.FIRST_ATTEMPT, registrar.LAST_ATTEMPT), known_word),
    **dict.fromkeys((registrar.HTTP_STATUS, registrar.REGISTRAR), known_word),
    **dict.fromkeys((registrar.WAITING_SINCE, registrar.REFUSALS), known_word),
    **dict.fromkeys((registrar.REASON, registrar.WAITING_FOR, "lapidicom-former-reason"), known_reason),
}


def masked_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a message with patient data masked."""
    return {name: _masked(value, FIELDS.get(name)) for name, value in fields.items()}


def masked_headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Our headers; of others only those of a trace."""
    return {name: _masked(value, _HEADERS.get(name)) for name, value in headers.items()}


def _masked(value: Any, text: Callable[[str], str] | None) -> Any:
    match value:
        case None:
            return None
        case str() if text is not None:
            return text(value)
        case int() | float() | datetime() if text in {str, known_word}:
            return value
        case _:
            return MASK
