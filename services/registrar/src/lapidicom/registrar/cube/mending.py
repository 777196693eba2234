"""Turns a message into CUBE's request, mending values that CUBE would refuse for their form alone.

Identity (PatientID, UIDs, StudyDate, pacs_name, path) is never altered: what CUBE cannot take there
makes the message unregistrable.
"""

import json
import posixpath
from dataclasses import dataclass
from datetime import date

from lapidicom.common.messages import (
    AnyMessage,
    InstanceStored,
    SeriesReceived,
    SeriesSettling,
    SeriesStarted,
)
from lapidicom.common.progress import ProgressFile
from lapidicom.registrar.cube.contract import (
    AGES,
    FOLDER_LIMIT,
    IDENTITY_LIMITS,
    PATH_LIMIT,
    PATH_PREFIX,
    SEXES,
    TEXT_LIMITS,
)


@dataclass(frozen=True, slots=True)
class Request:
    """The body of the POST.

    Attributes:
        body: JSON.
        mended: what was left out or cut, such as `PatientSex: left out`; never a value.
    """

    body: bytes
    mended: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unregistrable:
    """CUBE can never take this one.

    Attributes:
        reason: names the field and the fault, never a value.
    """

    reason: str


def request(message: InstanceStored) -> Request | Unregistrable:
    """Build the request of `POST pacsfiles/` for one instance."""
    return _request(message, message.path, PATH_LIMIT, {})


def series_request(message: SeriesSettling, ndicom: int) -> Request | Unregistrable:
    """Build the request of `POST pacs/series/` for one series.

    Args:
        message: tags and folder of the series.
        ndicom: DICOM files in the folder.
    """
    return _request(message, message.folder, FOLDER_LIMIT, {"ndicom": ndicom})


def progress_request(message: SeriesStarted | SeriesReceived, file: ProgressFile) -> Request | Unregistrable:
    """Build the request of `POST pacsfiles/` for a progress file: of the tags only those that CUBE demands.

    Args:
        message: about the series.
        file: what is told of it.
    """
    told = {"pacs_name": file.space, "ProtocolName": file.key, "SeriesDescription": file.value}
    without = dict.fromkeys((*TEXT_LIMITS, "PatientSex", "PatientBirthDate", "PatientAge"))
    return _request(message.model_copy(update={**without, **told}), file.path, PATH_LIMIT, {})


def _request(message: AnyMessage, path: str, limit: int, more: dict[str, int]) -> Request | Unregistrable:
    fault = _path_fault(path, limit) or _identity_fault(message)
    if fault:
        return Unregistrable(fault)
    fields: dict[str, str | int] = {
        "path": path,
        **more,
        "pacs_name": message.pacs_name,
        "PatientID": message.PatientID,
        "StudyDate": message.StudyDate,
        "StudyInstanceUID": message.StudyInstanceUID,
        "SeriesInstanceUID": message.SeriesInstanceUID,
    }
    mended: list[str] = []
    for name, limit in TEXT_LIMITS.items():
        value = getattr(message, name)
        if value is None:
            continue
        text = value.replace("\0", "").strip()
        if len(text) > limit:
            text = text[:limit].rstrip()
            mended.append(f"{name}: cut at {limit} characters")
        if text:
            fields[name] = text
    if message.PatientSex:
        if message.PatientSex in SEXES:
            fields["PatientSex"] = message.PatientSex
        else:
            mended.append("PatientSex: left out")
    if message.PatientBirthDate:
        if _is_calendar_day(message.PatientBirthDate):
            fields["PatientBirthDate"] = message.PatientBirthDate
        else:
            mended.append("PatientBirthDate: left out")
    if message.PatientAge is not None:
        if message.PatientAge in AGES:
            fields["PatientAge"] = message.PatientAge
        else:
            mended.append("PatientAge: left out")
    return Request(json.dumps(fields).encode(), tuple(mended))


def _path_fault(path: str, limit: int) -> str | None:
    """A path that CUBE would store as it is, but that would break its lists of files afterwards."""
    if len(path) > limit:
        return f"path: longer than {limit} characters"
    if not path.startswith(PATH_PREFIX) or posixpath.normpath(path) != path or "\0" in path:
        return f"path: not a normal path below {PATH_PREFIX}"
    return None


def _identity_fault(message: AnyMessage) -> str | None:
    for name, limit in IDENTITY_LIMITS.items():
        value = getattr(message, name)
        if not value.strip():
            return f"{name}: blank"
        if len(value) > limit:
            return f"{name}: longer than {limit} characters"
    return None


def _is_calendar_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
