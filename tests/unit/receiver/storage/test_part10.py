"""The head of a file, read back by pydicom."""

import io

import pydicom
import pytest

from lapidicom.receiver.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from lapidicom.receiver.storage.part10 import FileMeta, data_set_offset

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


@pytest.mark.parametrize("uid", ["1.2.3", "1.2.34", "1." + "2" * 62])
def test_pydicom_reads_every_element_back(uid: str) -> None:
    head = FileMeta(CT, EXPLICIT, "MODALITY", "ChRIS").encode(uid.encode())
    meta = pydicom.dcmread(io.BytesIO(head)).file_meta
    assert meta.FileMetaInformationGroupLength == len(head) - 144
    assert meta.FileMetaInformationVersion == b"\0\1"
    assert meta.MediaStorageSOPClassUID == CT
    assert meta.MediaStorageSOPInstanceUID == uid
    assert meta.TransferSyntaxUID == EXPLICIT
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert meta.ImplementationVersionName == IMPLEMENTATION_VERSION_NAME
    assert meta.SourceApplicationEntityTitle == meta.SendingApplicationEntityTitle == "MODALITY"
    assert meta.ReceivingApplicationEntityTitle == "ChRIS"
    assert data_set_offset(head) == len(head)


def test_an_ae_title_that_no_file_may_hold_is_written_with_underscores() -> None:
    head = FileMeta(CT, EXPLICIT, "Ä\n\\E", "ChRIS").encode(b"1.2.3")
    meta = pydicom.dcmread(io.BytesIO(head)).file_meta
    assert meta.SourceApplicationEntityTitle == "___E"


@pytest.mark.parametrize(
    "head", [b"", bytes(143), bytes(128) + b"DICX" + bytes(12), bytes(128) + b"DICM" + bytes(12)]
)
def test_what_is_no_file_of_ours_has_no_data_set_offset(head: bytes) -> None:
    assert data_set_offset(head) is None
