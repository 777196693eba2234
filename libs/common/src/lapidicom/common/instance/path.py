"""Where an instance is filed below CUBE's storage root; compatible with oxidicom, safe for any value.

SERVICES/PACS/{pacs}/{patient}/{study}/{series}/{instance}.dcm, where each folder's name is shortened on
its own, so that one series never lies in two folders because of the length of another one's values.
"""

import hashlib
import posixpath
import re
from typing import Final

from lapidicom.common.instance.errors import PathError
from lapidicom.common.instance.seahash import seahash
from lapidicom.common.instance.tags import InstanceTags, is_uid

PACS_ROOT: Final = "SERVICES/PACS"
"""The folder of all PACS files, relative to CUBE's storage root."""

MAX_SERIES_FOLDER: Final = 399
"""Characters of a series folder, at most."""

MAX_FILE: Final = 483
"""Characters of a file's whole path, at most (CUBE's limit is 512, less what marker paths need)."""

_MAX_AE_TITLE = 16
_MAX_PATIENT = 180
_MAX_STUDY = 100
_MAX_SERIES = 86
_MAX_INSTANCE_NUMBER = 12
_HASH = 7
_SHORTENED_BY = 10  # a tilde and nine digits of a hash

_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")
_NUMBER = re.compile(r"\+?([0-9]+)")
_MAX_NUMBER = 4294967295


def sanitise(value: str) -> str:
    """Return a value as it may stand in a path: without NULs, trimmed, every run of other characters `_`."""
    return _UNSAFE.sub("_", value.replace("\0", "").strip())


def pacs_name(calling_ae_title: str) -> str:
    """Return the name of a PACS: its sanitised AE title (at most 16 characters, PS3.5 table 6.2-1).

    Raises:
        PathError: nothing or only dots remain, or the title is too long.
    """
    name = sanitise(calling_ae_title)
    if not name.strip("."):
        raise PathError("the calling AE title has no character that can name a folder")
    if len(name) > _MAX_AE_TITLE:
        raise PathError("the calling AE title is longer than 16 characters")
    return name


def series_folder(pacs: str, tags: InstanceTags) -> str:
    """Return the folder of a series, relative to CUBE's storage root.

    Args:
        pacs: what pacs_name returned.
        tags: checked tags (see `tags.check`).

    Raises:
        PathError: the path would not be that of a folder below the PACS' folder.
    """
    patient = "-".join(
        (_text(tags.PatientID, ""), _text(tags.PatientName, ""), _text(tags.PatientBirthDate, ""))
    )
    study = "-".join(
        (
            _text(tags.StudyDescription, "StudyDescription"),
            _text(tags.AccessionNumber, "AccessionNumber"),
            _text(tags.StudyDate, ""),
        )
    )
    series = "-".join(
        (
            _number(tags.SeriesNumber, "SeriesNumber").rjust(5, "0"),
            _text(tags.SeriesDescription, "SeriesDescription"),
            hash_of_series(tags.SeriesInstanceUID or ""),
        )
    )
    folder = "/".join(
        (
            PACS_ROOT,
            pacs,
            _shortened(patient, _MAX_PATIENT),
            _shortened(study, _MAX_STUDY),
            _shortened(series, _MAX_SERIES),
        )
    )
    if posixpath.normpath(folder) != folder or folder.count("/") != 5 or len(folder) > MAX_SERIES_FOLDER:
        raise PathError("the tags make no safe path")
    return folder


def hash_of_series(series_instance_uid: str) -> str:
    """Return what the name of a series' folder ends with, unless it is shortened."""
    return format(seahash(series_instance_uid.encode()), "x")[:_HASH]


def set_apart(folder: str, digest: str) -> str:
    """Return the folder of a series whose own is that of another identity already.

    Args:
        folder: what series_folder returned.
        digest: of the identity; at least nine hexadecimal digits.
    """
    above, _, series = folder.rpartition("/")
    end = series[-_HASH - 1 :]
    begin = series[: -len(end)][: _MAX_SERIES - _SHORTENED_BY - len(end)]
    return f"{above}/{begin}~{digest[: _SHORTENED_BY - 1]}{end}"


def file_name(tags: InstanceTags) -> str:
    """Return the name of an instance's file in its series folder.

    Raises:
        PathError: SOPInstanceUID is no UID.
    """
    return file_name_of(tags.InstanceNumber, tags.SOPInstanceUID or "")


def file_name_of(instance_number: str | None, sop_instance_uid: str) -> str:
    """Return the name of the file from the two values that make it: for callers that decode no others.

    Raises:
        PathError: sop_instance_uid is no UID.
    """
    if not is_uid(sop_instance_uid):
        raise PathError("SOPInstanceUID (0008,0018) is not a UID")
    return f"{_instance_number(instance_number):0>4}-{sop_instance_uid}.dcm"


def _instance_number(value: str | None) -> str:
    if value is None:
        return "InstanceNumber"
    # Only a number of 32 bits is never longer than this, and it is not cut.
    return _number(value, "InstanceNumber")[:_MAX_INSTANCE_NUMBER]


def _number(value: str | None, absent: str) -> str:
    """An unsigned 32-bit number without sign and leading zeros; else the sanitised text.

    Not int(): it takes underscores and the digits of every script.
    """
    if value is not None:
        match = _NUMBER.fullmatch(value.replace("\0", "").strip())
        if match is not None:
            digits = match[1].lstrip("0") or "0"
            if len(digits) <= 10 and int(digits) <= _MAX_NUMBER:
                return digits
    return _text(value, absent)


def _text(value: str | None, absent: str) -> str:
    return (sanitise(value) or absent) if value is not None else absent


def _shortened(name: str, limit: int) -> str:
    """A name of at most `limit` characters; a longer one keeps its head, and a hash tells it from others."""
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()
    return f"{name[: limit - _SHORTENED_BY]}~{digest[: _SHORTENED_BY - 1]}"
