"""What of an instance's tags goes into its messages: the values with which CUBE registers it (pure)."""

from typing import Final

from lapidicom.common.instance.age import age_in_days
from lapidicom.common.instance.tags import InstanceTags

REGISTRATION_TAGS: Final = (
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "PatientID",
    "StudyDate",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "Modality",
    "ProtocolName",
    "StudyDescription",
    "SeriesDescription",
)
"""Taken over as text; PatientAge becomes a number."""


def registration_fields(tags: InstanceTags) -> dict[str, object]:
    """The tag fields of a message, by DICOM keyword; PatientAge in days, null if nobody can read it."""
    age = None if tags.PatientAge is None else age_in_days(tags.PatientAge)
    return {**{keyword: getattr(tags, keyword) for keyword in REGISTRATION_TAGS}, "PatientAge": age}
