"""What of an instance's tags goes into its messages: the values with which CUBE registers it (pure)."""

from typing import Final

from lapidicom.common.instance.age import age_in_days
from lapidicom.common.instance.tags import MAX_TEXT, InstanceTags

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
"""Taken over as text, cut after MAX_TEXT characters; PatientAge becomes a number."""


def registration_fields(tags: InstanceTags) -> dict[str, object]:
    """The tag fields of a message, by DICOM keyword; PatientAge in days, null if nobody can read it.

    Args:
        tags: checked ones (see `tags.check`), so that what identifies the instance is not cut.
    """
    age = None if tags.PatientAge is None else age_in_days(tags.PatientAge)
    return {**{keyword: _cut(getattr(tags, keyword)) for keyword in REGISTRATION_TAGS}, "PatientAge": age}


def cut_fields(tags: InstanceTags) -> tuple[str, ...]:
    """Return the keywords of the tags whose text is too long for a message."""
    return tuple(keyword for keyword in REGISTRATION_TAGS if len(getattr(tags, keyword) or "") > MAX_TEXT)


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= MAX_TEXT else text[:MAX_TEXT].rstrip()
