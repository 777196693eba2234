"""The message of a file alone: what the receiver would have sent, or why there can be none."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lapidicom.cli.reconcile.fate import Missing
from lapidicom.cli.reconcile.message import NoMessage, id_of_path, message_of, of_file
from lapidicom.common.journal.records import INSTANCE_RECEIVED, Record
from lapidicom.common.journal.survey import RelayState, SurveyedRecord
from lapidicom.common.topology import WORK_QUEUE
from lapidicom.receiver.storage.file_meta import FileMeta
from tests.support.data_sets import Coding
from tests.support.instances import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, Instance, instance

CALLING = "MODALITY"


def stored(root: Path, one: Instance, *, by_us: bool = True) -> str:
    """Write the file as the receiver does, or as another program does."""
    path = one.path(CALLING)
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMeta(one.sop_class, one.transfer_syntax, CALLING, "ChRIS")
    file.write_bytes(meta.encode(one.sop_instance.encode()) + one.data_set if by_us else one.file)
    return path


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED, "1.2.840.10008.1.2.4.50"])
def test_each_transfer_syntax_is_read(tmp_path: Path, syntax: str) -> None:
    one = instance(1, transfer_syntax=syntax)
    message, tags = of_file(tmp_path, stored(tmp_path, one)), one.tags
    assert (message.TransferSyntaxUID, message.SOPClassUID) == (syntax, one.sop_class)
    assert (message.PatientName, message.PatientID) == (tags.PatientName, tags.PatientID)
    assert (message.calling_ae_title, message.called_ae_title) == (CALLING, "ChRIS")
    assert message.PatientAge == round(96 * 365.24)
    assert message.size == (tmp_path / message.path).stat().st_size


def test_the_id_is_that_of_the_path_at_each_run(tmp_path: Path) -> None:
    missing = Missing(stored(tmp_path, instance(1)), 0.0)
    names = {message_of(tmp_path, missing, run).lapidicom_id for run in ("run-1", "run-2")}
    assert names == {id_of_path(missing.path)}
    assert id_of_path(missing.path) != id_of_path(f"{missing.path}x")


def test_a_file_of_another_program_names_its_pacs_by_its_path(tmp_path: Path) -> None:
    message = of_file(tmp_path, stored(tmp_path, instance(1), by_us=False))
    assert (message.pacs_name, message.calling_ae_title) == (CALLING, CALLING)
    assert message.called_ae_title == message.association_id == message.peer_address == "unknown"


def test_a_header_behind_a_long_private_group_is_found(tmp_path: Path) -> None:
    from pydicom.dataelem import DataElement

    from tests.support.instances import data_set_of, encoded

    data_set = data_set_of(1)
    data_set[0x0009_1001] = DataElement(0x0009_1001, "OB", bytes(300_000))
    path = stored(tmp_path, encoded(data_set))
    assert of_file(tmp_path, path).SOPInstanceUID == data_set.SOPInstanceUID


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_file_meta_at_the_start_of_the_data_set_is_not_that_of_the_file(tmp_path: Path, syntax: str) -> None:
    one = instance(1, transfer_syntax=syntax)
    element = Coding(implicit=syntax == IMPLICIT).element(0x0002_0010, "UI", b"1.2.840.10008.1.2.4.70")
    message = of_file(tmp_path, stored(tmp_path, replace(one, data_set=element + one.data_set)))
    assert message.TransferSyntaxUID == syntax
    assert message.SOPInstanceUID == one.sop_instance


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "no DICOM file"),
        (b"x" * 500, "no DICOM file"),
        (bytes(128) + b"DICM", "no transfer syntax"),
        (bytes(128) + b"DICM\x02\x00\x10\x00UI\x14\x00" + b"1.2.840", "ends inside its File Meta"),
    ],
)
def test_what_is_no_dicom_file_yields_none(tmp_path: Path, content: bytes, fault: str) -> None:
    path = f"SERVICES/PACS/{CALLING}/a/b/c/0001-1.2.dcm"
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_bytes(content)
    with pytest.raises(NoMessage, match=fault):
        of_file(tmp_path, path)


@pytest.mark.parametrize("keyword", ["PatientID", "StudyDate", "SOPClassUID"])
def test_a_file_that_lacks_what_cube_must_know_yields_none_and_no_value_is_told(
    tmp_path: Path, keyword: str
) -> None:
    one = instance(1)
    path = stored(tmp_path, one)
    lacking = instance(1, without=[keyword]).data_set if keyword != "SOPClassUID" else _without_class(one)
    meta = FileMeta(one.sop_class, one.transfer_syntax, CALLING, "ChRIS")
    (tmp_path / path).write_bytes(meta.encode(one.sop_instance.encode()) + lacking)
    with pytest.raises(NoMessage, match=rf"^{keyword} \([0-9a-f,]+\) is missing$"):
        of_file(tmp_path, path)


def test_a_record_is_preferred_and_keeps_id_and_bytes(tmp_path: Path) -> None:
    path = stored(tmp_path, instance(1))
    body = (
        of_file(tmp_path, path).model_copy(update={"association_id": "a1"}).model_dump_json(indent=1).encode()
    )
    made = message_of(tmp_path, _missing(path, body), "run-1")
    assert (made.lapidicom_id, made.body) == ("life.7", body)
    broken = message_of(tmp_path, _missing(path, b'{"path":"x"}'), "run-1")
    assert broken.lapidicom_id == id_of_path(path)


def test_it_goes_to_the_work_queue_alone_and_says_who_made_it(tmp_path: Path) -> None:
    envelope = message_of(tmp_path, Missing(stored(tmp_path, instance(1)), 0.0), "run-1")
    assert (envelope.exchange, envelope.routing_key) == ("lapidicom", WORK_QUEUE)
    assert dict(envelope.headers) == {"lapidicom-reconcile": "run-1"}


def _missing(path: str, body: bytes) -> Missing:
    record = SurveyedRecord("receiver", "life", RelayState.RELAYED, Record(7, INSTANCE_RECEIVED, body))
    return Missing(path, 0.0, record)


def _without_class(one: Instance) -> Any:
    start = one.data_set.index(b"\x08\x00\x16\x00UI")
    length = int.from_bytes(one.data_set[start + 6 : start + 8], "little")
    return one.data_set[:start] + one.data_set[start + 8 + length :]
