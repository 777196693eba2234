"""The files to send: which are DICOM instances, which are something else."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.tag import Tag
from pydicom.uid import MediaStorageDirectoryStorage

WANTED = ("SOPClassUID", "SOPInstanceUID")


@dataclass(frozen=True)
class InstanceFile:
    """A Part 10 file that holds an instance; UIDs of its data set, else of its File Meta.

    Attributes:
        media_uid: the SOP Instance UID of the File Meta, which some SCUs send instead.
    """

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    media_uid: str


@dataclass
class Collection:
    """What a directory holds."""

    instances: list[InstanceFile] = field(default_factory=list)
    not_dicom: list[Path] = field(default_factory=list)
    no_instance: list[Path] = field(default_factory=list)


def collect(folder: Path, each: Callable[[], None] = lambda: None) -> Collection:
    """Look at every file below `folder`, in order of names; `each` is called once a file."""
    found = Collection()
    for path in _files(folder):
        try:
            instance = read(path)
        except (InvalidDicomError, OSError, EOFError):
            found.not_dicom.append(path)
        else:
            if instance is None:
                found.no_instance.append(path)
            else:
                found.instances.append(instance)
        each()
    return found


def read(path: Path) -> InstanceFile | None:
    """Read the head of a file; None if it is DICOM but no instance (a DICOMDIR, a file without UIDs).

    Raises:
        InvalidDicomError: it is no Part 10 file.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about values that this demo only passes on
        try:
            dataset = pydicom.dcmread(
                path, stop_before_pixels=True, specific_tags=[Tag(tag) for tag in WANTED]
            )
        except (ValueError, KeyError, AttributeError, NotImplementedError) as error:
            raise InvalidDicomError(str(error)) from None
        meta = dataset.file_meta
        sop_class = str(dataset.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID") or "")
        sop_instance = str(dataset.get("SOPInstanceUID") or meta.get("MediaStorageSOPInstanceUID") or "")
        transfer_syntax = str(meta.get("TransferSyntaxUID") or "")
    if not (sop_class and sop_instance and transfer_syntax) or sop_class == MediaStorageDirectoryStorage:
        return None
    return InstanceFile(
        path, sop_class, sop_instance, transfer_syntax, str(meta.get("MediaStorageSOPInstanceUID") or "")
    )


def data_set_offset(file: bytes | memoryview) -> int:
    """Where the data set of a Part 10 file begins (PS3.10 7.1): behind preamble and File Meta.

    Raises:
        ValueError: the File Meta does not begin with its group length.
    """
    if bytes(file[128:132]) != b"DICM" or bytes(file[132:140]) != b"\x02\x00\x00\x00UL\x04\x00":
        raise ValueError("no File Meta with a group length")
    return 144 + int.from_bytes(file[140:144], "little")


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
