"""Instances for SCUs to send, most of them of a made-up patient whose values are found wherever they leak."""

import io
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pydicom
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import UID
from pydicom.valuerep import IS, DSfloat

from lapidicom.common.instance.path import file_name, pacs_name, series_folder
from lapidicom.common.instance.tags import REQUIRED, WANTED, InstanceTags, is_calendar_day, is_uid
from tests.support.data_sets import data_set_bytes

IMPLICIT: Final = "1.2.840.10008.1.2"
EXPLICIT: Final = "1.2.840.10008.1.2.1"
BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
CT: Final = "1.2.840.10008.5.1.4.1.1.2"
MR: Final = "1.2.840.10008.5.1.4.1.1.4"
SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"

ROOT: Final = "1.2.826.0.1.3680043.10.543.77"
"""Of all UIDs made here."""

PATIENT: Final = {
    "PatientName": "Quastenflosser^Xaverine",
    "PatientID": "KRNK-7731-ZX",
    "PatientBirthDate": "19031227",
    "AccessionNumber": "ACCZW8842",
    "StudyDate": "19991128",
    "StudyDescription": "Wadenwickel links",
    "SeriesDescription": "Ypsilon-Schicht",
}
"""The values that must never be seen in a log."""


def leaks(log_text: str, more: Sequence[str] = ()) -> list[str]:
    """Which of the made-up values, or parts of them, a log tells."""
    parts = {part for value in (*PATIENT.values(), *more) for part in (value, *value.split("^"))}
    return sorted(part for part in parts if len(part) > 2 and part.lower() in log_text.lower())


@dataclass(frozen=True)
class Instance:
    """What an SCU has: a data set, encoded, and what it says of it in its C-STORE-RQ."""

    data_set: bytes
    transfer_syntax: str
    sop_class: str
    sop_instance: str
    name: str = ""

    @cached_property
    def tags(self) -> InstanceTags:
        """The wanted values as pydicom reads them."""
        return tags_by_pydicom(self.file)

    @property
    def file(self) -> bytes:
        """A DICOM file with a File Meta that nobody but the SCU ever sees."""
        out = DicomBytesIO()
        out.write(bytes(128) + b"DICM")
        meta = pydicom.dataset.FileMetaDataset()
        meta.MediaStorageSOPClassUID = UID(self.sop_class)
        meta.MediaStorageSOPInstanceUID = UID(self.sop_instance)
        meta.TransferSyntaxUID = UID(self.transfer_syntax)
        meta.ImplementationClassUID = UID(f"{ROOT}.1")
        pydicom.filewriter.write_file_meta_info(out, meta)
        return out.getvalue() + self.data_set

    def write(self, folder: Path) -> Path:
        """Write the file into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.sop_instance}.dcm"
        path.write_bytes(self.file)
        return path

    def path(self, calling: str) -> str:
        """Where it is filed, relative to the storage root."""
        return f"{series_folder(pacs_name(calling), self.tags)}/{file_name(self.tags)}"

    @property
    def can_be_filed(self) -> bool:
        """Whether it has the required tags, as pydicom sees it."""
        tags = self.tags
        uids = (tags.StudyInstanceUID, tags.SeriesInstanceUID, tags.SOPInstanceUID)
        return (
            all(getattr(tags, keyword) for keyword in REQUIRED)
            and all(is_uid(uid or "") for uid in uids)
            and is_calendar_day(tags.StudyDate or "")
        )


def instance(
    number: int = 1,
    *,
    series: int = 1,
    transfer_syntax: str = EXPLICIT,
    size: int = 256,
    without: Sequence[str] = (),
    **changes: Any,
) -> Instance:
    """An instance of a made-up patient.

    Args:
        number: of the instance in its series; the UID is made of both.
        series: its number.
        transfer_syntax: how it is encoded; pixels are encapsulated where the standard wants it, but random.
        size: bytes of pixel data.
        without: keywords to leave out.
        changes: elements by keyword.
    """
    data_set = data_set_of(number, series=series, **changes)
    for keyword in without:
        delattr(data_set, keyword)
    pixels = bytes((n * 7 + number) & 0xFF for n in range(251)) * (size // 251 + 1)
    if UID(transfer_syntax).is_encapsulated:
        data_set.PixelData = encapsulate([pixels[:size]])
        data_set["PixelData"].is_undefined_length = True
    else:
        data_set.PixelData = pixels[: size + (size & 1)]
    data_set["PixelData"].VR = "OB" if UID(transfer_syntax).is_encapsulated else "OW"
    return encoded(data_set, transfer_syntax)


def data_set_of(number: int = 1, *, series: int = 1, **changes: Any) -> Dataset:
    """The same without pixels and not encoded."""
    data_set = Dataset()
    data_set.SOPClassUID = CT
    data_set.SOPInstanceUID = f"{ROOT}.{series}.{number}"
    data_set.StudyInstanceUID = f"{ROOT}.0"
    data_set.SeriesInstanceUID = f"{ROOT}.{series}"
    data_set.Modality = "CT"
    data_set.PatientSex = "F"
    data_set.PatientAge = "096Y"
    data_set.ProtocolName = "Protokoll"
    data_set.SeriesNumber = series
    data_set.InstanceNumber = number
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values that no instance should have
        for keyword, value in (PATIENT | changes).items():
            setattr(data_set, keyword, value)
    data_set.Rows = data_set.Columns = 16
    data_set.BitsAllocated = data_set.BitsStored = 8
    data_set.HighBit = 7
    data_set.PixelRepresentation = 0
    data_set.SamplesPerPixel = 1
    data_set.PhotometricInterpretation = "MONOCHROME2"
    return data_set


def encoded(data_set: Dataset, transfer_syntax: str = EXPLICIT) -> Instance:
    """Encode a data set."""
    out = DicomBytesIO()
    out.is_little_endian = transfer_syntax != BIG_ENDIAN
    out.is_implicit_VR = transfer_syntax == IMPLICIT
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_dataset(out, data_set)
    data = out.getvalue()
    if transfer_syntax == DEFLATED:
        data = deflated(data)
    return Instance(data, transfer_syntax, str(data_set.SOPClassUID), str(data_set.SOPInstanceUID))


def deflated(data: bytes) -> bytes:
    """PS3.5 section A.5: raw deflate, padded."""
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data = compressor.compress(data) + compressor.flush()
    return data + b"\0" * (len(data) & 1)


def shipped_by_pydicom() -> Iterator[Instance]:
    """All files that pydicom ships and that name what a C-STORE-RQ needs; each with its file's name."""
    some = get_testdata_file("CT_small.dcm", read=False)
    assert isinstance(some, str)
    folder = Path(some).parent
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        found = of_file(file)
        if found is not None:
            yield found


def of_file(file: Path) -> Instance | None:
    """What a DICOM file holds, byte by byte; None if it cannot be sent."""
    try:
        read = _read(file)
    except (pydicom.errors.InvalidDicomError, EOFError, AttributeError):
        return None
    syntax = read.file_meta.get("TransferSyntaxUID")
    sop_class = read.file_meta.get("MediaStorageSOPClassUID")
    sop_instance = read.file_meta.get("MediaStorageSOPInstanceUID")
    if not (syntax and sop_class and sop_instance):
        return None
    return Instance(data_set_bytes(file), str(syntax), str(sop_class), str(sop_instance), file.name)


def _read(file: Path | io.BytesIO) -> FileDataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(file, stop_before_pixels=True)


def tags_by_pydicom(file: bytes) -> InstanceTags:
    """The wanted values of a file: the first of several, trimmed; None where absent."""
    data_set = _read(io.BytesIO(file))
    return InstanceTags(*(_first_text(data_set, tag) for tag in WANTED))


def _first_text(data_set: Dataset, tag: int) -> str | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = data_set[tag].value if tag in data_set else None
    if isinstance(value, pydicom.multival.MultiValue):
        value = value[0] if len(value) else None
    if value is None:
        return None
    if isinstance(value, (IS, DSfloat)):  # 01 stays 01
        value = value.original_string
    text = str(value).strip("\0 ")
    return text or None
