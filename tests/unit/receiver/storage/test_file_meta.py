"""The head of a file, read back by pydicom."""

import io

import pydicom
import pytest

from lapidicom.common.instance.part10 import read_file_meta
from lapidicom.receiver.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from lapidicom.receiver.storage.file_meta import FileMeta

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
    assert read_file_meta(head).data_set == len(head)


def test_an_ae_title_that_no_file_may_hold_is_written_with_underscores() -> None:
    head = FileMeta(CT, EXPLICIT, "Ä\n\\E", "ChRIS").encode(b"1.2.3")
    meta = pydicom.dcmread(io.BytesIO(head)).file_meta
    assert meta.SourceApplicationEntityTitle == "___E"


def test_a_data_set_that_begins_with_group_2_is_not_taken_for_file_meta() -> None:
    head = FileMeta(CT, EXPLICIT, "MODALITY", "ChRIS").encode(b"1.2.3")
    meta = read_file_meta(head + b"\x02\0\x10\0UI\x04\x001.2\0" + b"\x08\0\x05\0CS\0\0")
    assert (meta.data_set, meta.transfer_syntax_uid) == (len(head), EXPLICIT)
