"""The tags that lapidicom reads from a data set: which, in what order, which of them are required."""

import re
from datetime import date
from typing import NamedTuple

from lapidicom.common.instance.errors import HeaderError

_KEYWORDS = {
    0x0008_0005: "SpecificCharacterSet",
    0x0008_0016: "SOPClassUID",
    0x0008_0018: "SOPInstanceUID",
    0x0008_0020: "StudyDate",
    0x0008_0050: "AccessionNumber",
    0x0008_0060: "Modality",
    0x0008_1030: "StudyDescription",
    0x0008_103E: "SeriesDescription",
    0x0010_0010: "PatientName",
    0x0010_0020: "PatientID",
    0x0010_0030: "PatientBirthDate",
    0x0010_0040: "PatientSex",
    0x0010_1010: "PatientAge",
    0x0018_1030: "ProtocolName",
    0x0020_000D: "StudyInstanceUID",
    0x0020_000E: "SeriesInstanceUID",
    0x0020_0011: "SeriesNumber",
    0x0020_0013: "InstanceNumber",
}

WANTED: tuple[int, ...] = tuple(_KEYWORDS)
"""The wanted tags as 0xGGGGEEEE, ascending: the order of the fields of RawValues and InstanceTags."""

LAST_WANTED: int = WANTED[-1]
"""What follows the first element with a higher tag is the tail of a data set."""

PIXEL_DATA: int = 0x7FE0_0010

MAX_TEXT: int = 512
"""Characters of a text in records and messages: more than CUBE takes, and more than the VRs allow."""

REQUIRED: tuple[str, ...] = (
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPInstanceUID",
    "PatientID",
    "StudyDate",
)
"""Without these an instance has no place on the volume and CUBE would refuse it."""

_TAGS = {keyword: tag for tag, keyword in _KEYWORDS.items()}
_REQUIRED_UIDS = frozenset(keyword for keyword in REQUIRED if keyword.endswith("UID"))
_UID = re.compile(r"[0-9.]{1,64}")
_DAY = re.compile(r"([0-9]{4})(-?)([0-9]{2})\2([0-9]{2})")


class RawValues(NamedTuple):
    """The bytes of the wanted elements as sent, not decoded; None: the element is missing."""

    SpecificCharacterSet: bytes | None
    SOPClassUID: bytes | None
    SOPInstanceUID: bytes | None
    StudyDate: bytes | None
    AccessionNumber: bytes | None
    Modality: bytes | None
    StudyDescription: bytes | None
    SeriesDescription: bytes | None
    PatientName: bytes | None
    PatientID: bytes | None
    PatientBirthDate: bytes | None
    PatientSex: bytes | None
    PatientAge: bytes | None
    ProtocolName: bytes | None
    StudyInstanceUID: bytes | None
    SeriesInstanceUID: bytes | None
    SeriesNumber: bytes | None
    InstanceNumber: bytes | None

    def but_instance(self) -> tuple[bytes | None, ...]:
        """Return all values but SOPInstanceUID and InstanceNumber: most often those of the instance before.

        A cache of what is made of a series' values can have this as its key.
        """
        return self[:2] + self[3:17]


class InstanceTags(NamedTuple):
    """The wanted values as text: decoded, the first of several, without NULs, trimmed.

    None: absent, that is missing, of zero length, or only blanks and NULs.
    """

    SpecificCharacterSet: str | None = None
    SOPClassUID: str | None = None
    SOPInstanceUID: str | None = None
    StudyDate: str | None = None
    AccessionNumber: str | None = None
    Modality: str | None = None
    StudyDescription: str | None = None
    SeriesDescription: str | None = None
    PatientName: str | None = None
    PatientID: str | None = None
    PatientBirthDate: str | None = None
    PatientSex: str | None = None
    PatientAge: str | None = None
    ProtocolName: str | None = None
    StudyInstanceUID: str | None = None
    SeriesInstanceUID: str | None = None
    SeriesNumber: str | None = None
    InstanceNumber: str | None = None


def tag_name(tag: int) -> str:
    """Return a tag as people write it: `StudyDate (0008,0020)`, `(0009,1001)`."""
    number = f"({tag >> 16:04x},{tag & 0xFFFF:04x})"
    keyword = _KEYWORDS.get(tag)
    return f"{keyword} {number}" if keyword else number


def is_uid(text: str) -> bool:
    """Whether a text is of the form that a UID must have here: 1 to 64 digits and dots.

    Laxer than PS3.5 section 9.1 (leading zeros and empty components are out there) but safe in a path.
    """
    return _UID.fullmatch(text) is not None


def is_calendar_day(text: str) -> bool:
    """Whether a text is an existing day, YYYYMMDD or YYYY-MM-DD (PS3.5 table 6.2-1, and CUBE's form)."""
    match = _DAY.fullmatch(text)
    if match is None:
        return False
    try:
        date(int(match[1]), int(match[3]), int(match[4]))
    except ValueError:
        return False
    return True


def check(tags: InstanceTags) -> None:
    """Check that an instance has what its path and its registration require.

    SOPClassUID is not looked at: it is compared with that of the C-STORE-RQ, with a status of its own.

    Raises:
        HeaderError: a required tag is absent or malformed.
    """
    for keyword in REQUIRED:
        value = getattr(tags, keyword)
        if value is None:
            raise _fault(keyword, "is missing")
        if keyword in _REQUIRED_UIDS and not is_uid(value):
            raise _fault(keyword, "is not a UID")
        if len(value) > MAX_TEXT:  # identity is never cut
            raise _fault(keyword, f"is longer than {MAX_TEXT} characters")
        if keyword == "StudyDate" and not is_calendar_day(value):
            raise _fault(keyword, "is not a calendar day")


def _fault(keyword: str, fault: str) -> HeaderError:
    tag = _TAGS[keyword]
    return HeaderError(f"{tag_name(tag)} {fault}", tag)
