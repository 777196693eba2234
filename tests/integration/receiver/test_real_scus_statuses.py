"""Every status of C-STORE on the wire, and that the association goes on after each."""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lapidicom.common.journal import records
from tests.support.byte_scripts import STUDY_ROOT_FIND, command_set, p_data, pdv, store_command, uid, us
from tests.support.byte_scu import ByteSCU, Response
from tests.support.instances import CT, EXPLICIT, IMPLICIT, MR, PATIENT, ROOT, Instance, instance, leaks
from tests.support.journals import records_of
from tests.support.on_disk import check_stored, stored_paths, temporary_files
from tests.support.polling import eventually
from tests.support.receiver import Receiver

VERIFICATION = "1.2.840.10008.1.1"
SOP_CLASS_UID = 0x00080016
SOP_INSTANCE_UID = 0x00080018
STUDY_DATE = 0x00080020
PATIENT_ID = 0x00100020
STUDY_INSTANCE_UID = 0x0020000D
SERIES_INSTANCE_UID = 0x0020000E
AFFECTED_SOP_CLASS_UID = 0x00000002
AFFECTED_SOP_INSTANCE_UID = 0x00001000
SECRET = "Geheimrat"


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with Receiver(tmp_path_factory.mktemp("receiver"), CHRIS_VERBOSE="yes") as running:
        yield running
        assert leaks(running.log_text(), [SECRET]) == []
        assert running.events("association_failed") == []
        assert running.events("instance_failed") == []
        assert eventually(lambda: temporary_files(running.spool) == [])


@pytest.fixture
def scu(receiver: Receiver, request: pytest.FixtureRequest) -> Iterator["Checked"]:
    """An association under an AE title that no other test uses."""
    calling = re.sub("[^a-z0-9]", "", request.node.name.removeprefix("test_"))[:8] + os.urandom(4).hex()
    with Checked(receiver, calling) as checked:
        yield checked


@dataclass
class Checked:
    """An association in which one instance is refused, between two that are stored."""

    receiver: Receiver
    calling: str

    def __enter__(self) -> "Checked":
        self.bytes = ByteSCU(self.receiver.scp_port).associate(
            (CT, [EXPLICIT]), (CT, [IMPLICIT]), (VERIFICATION, [IMPLICIT]), calling=self.calling
        )
        self.good = [instance(1001), instance(1002)]
        assert self.bytes.store(self.good[0]).status == 0
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            assert self.bytes.store(self.good[1]).status == 0, "the association goes on"
            assert self.bytes.echo().status == 0
            self.bytes.release()
            check_stored(self.receiver.files_root, self.calling, self.good)
        self.bytes.socket.close()

    def is_refused(
        self, response: Response, status: int, comment: str, *offending: int, known: bool = True
    ) -> None:
        """Check response, journal, log, and that nothing of a value is shown.

        Args:
            response: the answer.
            status: its Status.
            comment: its Error Comment.
            offending: the tags of its Offending Element.
            known: whether the command's SOP Instance UID may be shown.
        """
        assert f"{response.status:04X} {response.comment}" == f"{status:04X} {comment}"
        assert response.offending == offending
        assert response.command_field == 0x8001
        assert len(comment) <= 64
        assert leaks(response.comment, [SECRET]) == []

        def refusals() -> list[dict[str, object]]:
            return records_of(self.receiver.spool, records.INSTANCE_REFUSED, self.calling)

        (record,) = eventually(refusals)
        assert record["status"] == f"0x{status:04X}"
        assert record["reason"] == comment
        assert record.get("tags", []) == [f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in offending]
        if known:
            assert record["SOPInstanceUID"] == response.sop_instance
        line = self.receiver.wait_for("instance_refused", association_id=record["association_id"])
        assert (line["status"], line["reason"]) == (f"0x{status:04X}", comment)


# -- 0xC000 --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keyword", "tag"),
    [
        ("StudyInstanceUID", STUDY_INSTANCE_UID),
        ("SeriesInstanceUID", SERIES_INSTANCE_UID),
        ("PatientID", PATIENT_ID),
        ("StudyDate", STUDY_DATE),
    ],
)
@pytest.mark.parametrize("blank", [None, "", "  "])
def test_a_required_tag_that_is_absent_is_named(
    scu: Checked, keyword: str, tag: int, blank: str | None
) -> None:
    one = instance(1, without=[keyword]) if blank is None else instance(1, **{keyword: blank})
    name = f"{keyword} ({tag >> 16:04x},{tag & 0xFFFF:04x})"
    scu.is_refused(scu.bytes.store(one), 0xC000, f"{name} is missing", tag)


@pytest.mark.parametrize("date", ["20249999", "19990230", "1999.11.28", "19991128-", "19991128-20000101"])
def test_a_study_date_that_is_no_day_is_refused(scu: Checked, date: str) -> None:
    response = scu.bytes.store(raw(StudyDate=date))
    scu.is_refused(response, 0xC000, "StudyDate (0008,0020) is not a calendar day", STUDY_DATE)


def raw(**changes: str) -> Instance:
    """An instance in implicit VR with values that pydicom would not write."""
    one = instance(1, transfer_syntax=IMPLICIT, **dict.fromkeys(changes, "X" * 40))
    data = one.data_set
    tags = {"StudyDate": STUDY_DATE, "SeriesInstanceUID": SERIES_INSTANCE_UID}
    for keyword, value in changes.items():
        head = tags[keyword].to_bytes(4, "big")
        head = head[1::-1] + head[:1:-1]
        found = head + (40).to_bytes(4, "little") + b"X" * 40
        assert found in data
        text = value.encode() + b" " * (len(value) % 2)
        data = data.replace(found, head + len(text).to_bytes(4, "little") + text)
    return replace(one, data_set=data)


@pytest.mark.parametrize("value", ["1.2.x", "../../etc", "1.2 .3", "1" * 65, SECRET])
def test_a_series_uid_that_is_none_is_refused(scu: Checked, value: str) -> None:
    response = scu.bytes.store(raw(SeriesInstanceUID=value))
    comment = "SeriesInstanceUID (0020,000e) is not a UID"
    scu.is_refused(response, 0xC000, comment, SERIES_INSTANCE_UID)


def test_a_data_set_announced_as_absent_is_refused(scu: Checked) -> None:
    one = instance(1)
    scu.bytes.send(p_data(pdv(1, 3, store_command(7, one.sop_instance, data_set_type=0x0101))))
    scu.is_refused(scu.bytes.read_response(), 0xC000, "data set is absent")


def test_a_data_set_of_no_bytes_is_refused(scu: Checked) -> None:
    scu.is_refused(scu.bytes.store(replace(instance(1), data_set=b"")), 0xC000, "data set is absent")


@pytest.mark.parametrize(
    "broken",
    [
        lambda data: data[:4],
        lambda data: data[:30],
        lambda data: data.replace(b"LO\x0c\x00KRNK", b"LO\xff\xffKRNK"),
        lambda data: b"\x00\x00\x10\x00UI\x12\x001.2.840.10008.1.2\0" + data,
        lambda data: b"\x08\x00\x05\x00" + SECRET.encode() * 20 + data,
    ],
    ids=["cut in a tag", "cut in a value", "a length beyond the end", "group 0000", "text"],
)
def test_a_data_set_that_is_none_is_refused(scu: Checked, broken: Callable[[bytes], bytes]) -> None:
    one = instance(1)
    data = broken(one.data_set)
    assert data != one.data_set
    response = scu.bytes.store(replace(one, data_set=data))
    assert response.comment
    scu.is_refused(response, 0xC000, response.comment, *response.offending)


def test_file_meta_in_front_of_a_data_set_is_stored_with_it(receiver: Receiver) -> None:
    one = instance(1)
    meta = b"\x02\x00\x10\x00UI\x12\x001.2.840.10008.1.2\0"
    with ByteSCU(receiver.scp_port) as scu:
        scu.associate_for(one, calling="METAFIRST")
        assert scu.store(replace(one, data_set=meta + one.data_set)).status == 0
        scu.release()
    file = receiver.files_root / one.path("METAFIRST")
    assert file.read_bytes().endswith(meta + one.data_set)


def test_what_stands_behind_the_image_is_in_the_record(receiver: Receiver) -> None:
    one = instance(1, without=["AccessionNumber"], size=50_000)
    late = b"\x08\x00\x50\x00SH\x0a\x00ACCZW8842 "
    with ByteSCU(receiver.scp_port) as scu:
        scu.associate_for(one, calling="LATE")
        assert scu.store(replace(one, data_set=one.data_set + late)).status == 0
        scu.release()
    (record,) = records_of(receiver.spool, records.INSTANCE_RECEIVED, "LATE")
    assert record["AccessionNumber"] == "ACCZW8842"


@pytest.mark.parametrize("data", [b"\xff" * 40, SECRET.encode() * 10], ids=["noise", "text"])
def test_bytes_that_happen_to_begin_like_a_high_tag_lack_their_class(scu: Checked, data: bytes) -> None:
    response = scu.bytes.store(replace(instance(1), data_set=data))
    scu.is_refused(response, 0xA900, "SOPClassUID (0008,0016) is absent", SOP_CLASS_UID)


def test_wanted_values_over_64_kib_are_refused(scu: Checked) -> None:
    one = instance(1, transfer_syntax=IMPLICIT)
    name = PATIENT["PatientName"].encode() + b" "
    head = b"\x10\x00\x10\x00"
    found = head + len(name).to_bytes(4, "little") + name
    assert found in one.data_set
    long = head + (70_000).to_bytes(4, "little") + b"X" * 70_000
    response = scu.bytes.store(replace(one, data_set=one.data_set.replace(found, long)))
    scu.is_refused(response, 0xC000, response.comment, *response.offending)


# -- 0xA900 --------------------------------------------------------------------------------------------------


def test_an_instance_uid_that_is_not_the_announced_one_is_refused(scu: Checked) -> None:
    response = scu.bytes.store(instance(1), sop_instance=f"{ROOT}.5")
    comment = "SOPInstanceUID (0008,0018) is not that of the command"
    scu.is_refused(response, 0xA900, comment, SOP_INSTANCE_UID)


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SOPClassUID"])
def test_an_instance_that_does_not_tell_what_it_is_is_refused(scu: Checked, keyword: str) -> None:
    one, whole = instance(1, without=[]), instance(1)
    tag = SOP_CLASS_UID if keyword == "SOPClassUID" else SOP_INSTANCE_UID
    value = CT if keyword == "SOPClassUID" else whole.sop_instance
    padded = value.encode() + b"\0" * (len(value) % 2)
    element = b"\x08\x00" + bytes([tag & 0xFF, 0]) + b"UI" + len(padded).to_bytes(2, "little") + padded
    assert element in one.data_set
    response = scu.bytes.store(replace(one, data_set=one.data_set.replace(element, b"")))
    name = f"{keyword} (0008,00{tag & 0xFF:02x})"
    scu.is_refused(response, 0xA900, f"{name} is absent", tag)


def test_a_data_set_of_another_class_than_announced_is_refused(scu: Checked) -> None:
    one = instance(1, SOPClassUID=MR)
    response = scu.bytes.store(one, sop_class=CT, context_id=1)
    comment = "SOPClassUID (0008,0016) is not that of the command"
    scu.is_refused(response, 0xA900, comment, SOP_CLASS_UID)


# -- 0x0117, 0x0122, 0x0211 ----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["", "1.2.x", "1" * 65, "../../x", f"{SECRET}^1"])
def test_an_announced_instance_uid_that_is_none_is_invalid(scu: Checked, value: str) -> None:
    response = scu.bytes.store(instance(1), sop_instance=value)
    comment = "Affected SOP Instance UID is malformed"
    scu.is_refused(response, 0x0117, comment, AFFECTED_SOP_INSTANCE_UID, known=False)


@pytest.mark.parametrize("value", ["", MR, SECRET, f"1.2.{SECRET}"])
def test_an_announced_class_that_is_not_of_the_context_is_not_supported(scu: Checked, value: str) -> None:
    response = scu.bytes.store(instance(1), sop_class=value)
    comment = "Affected SOP Class UID is none of this context"
    scu.is_refused(response, 0x0122, comment, AFFECTED_SOP_CLASS_UID)


def test_a_store_in_the_context_of_verification_is_not_supported(scu: Checked) -> None:
    one = instance(1)
    response = scu.bytes.store(one, sop_class=VERIFICATION, context_id=5)
    comment = "Affected SOP Class UID is none of this context"
    scu.is_refused(response, 0x0122, comment, AFFECTED_SOP_CLASS_UID)


def test_an_echo_in_the_context_of_storage_is_not_supported(scu: Checked) -> None:
    command = command_set(uid(2, VERIFICATION), us(0x0100, 0x30), us(0x0110, 5), us(0x0800, 0x0101))
    scu.bytes.send(p_data(pdv(1, 3, command)))
    response = scu.bytes.read_response()
    assert (response.command_field, response.status) == (0x8030, 0x0122)


@pytest.mark.parametrize("command_field", [0x0010, 0x0020, 0x0021, 0x0100, 0x0140, 0x0777])
@pytest.mark.parametrize("has_data_set", [False, True])
def test_an_unknown_command_is_unrecognised(scu: Checked, command_field: int, has_data_set: bool) -> None:
    kind = us(0x0800, 1 if has_data_set else 0x0101)
    command = command_set(uid(2, STUDY_ROOT_FIND), us(0x0100, command_field), us(0x0110, 5), kind)
    scu.bytes.send(p_data(pdv(1, 3, command)))
    if has_data_set:
        data = instance(1, PatientName=SECRET).data_set
        scu.bytes.send(p_data(pdv(1, 0, data)) + p_data(pdv(1, 2, data)))
    response = scu.bytes.read_response()
    assert (response.command_field, response.message_id) == (command_field | 0x8000, 5)
    assert (response.status, response.comment) == (0x0211, "this SCP knows C-STORE and C-ECHO")


def test_a_cancel_gets_no_answer(scu: Checked) -> None:
    command = command_set(us(0x0100, 0x0FFF), us(0x0120, 3), us(0x0800, 0x0101))
    scu.bytes.send(p_data(pdv(1, 3, command)))
    assert scu.bytes.echo().status == 0


# -- 0xA700 --------------------------------------------------------------------------------------------------


def refused_for_resources(receiver: Receiver, calling: str, comment: str) -> None:
    """Two instances are refused, one of them over 1 MiB; nothing is left of them."""
    sent = [instance(1), instance(2, size=3_000_000)]
    before = len(receiver.events("instance_refused"))
    with ByteSCU(receiver.scp_port) as scu:
        scu.associate((CT, [EXPLICIT]), (VERIFICATION, [IMPLICIT]), calling=calling)
        for one in sent:
            response = scu.store(one)
            assert f"{response.status:04X} {response.comment}" == f"A700 {comment}"
            assert response.offending == ()
        assert scu.echo().status == 0
        scu.release()
    assert eventually(lambda: temporary_files(receiver.spool) == [])
    assert not (receiver.files_root / "SERVICES/PACS" / calling).exists()
    # A volume that takes no instances gets no records of refusals either: they would fill it.
    eventually(lambda: len(receiver.events("instance_refused")) == before + len(sent))


def test_below_the_wanted_free_space_instances_are_refused(tmp_path: Path) -> None:
    with Receiver(tmp_path, CHRIS_MIN_FREE_SPACE="1000TiB").start(ready=False) as receiver:
        eventually(lambda: "free space below CHRIS_MIN_FREE_SPACE" in receiver.get("/readyz")[1])
        refused_for_resources(receiver, "NOSPACE", "free space below CHRIS_MIN_FREE_SPACE")
        assert receiver.reasons() == [], "no other receiver could do better"


def test_with_the_sentinel_moved_away_instances_are_refused_until_it_is_back(tmp_path: Path) -> None:
    one = instance(9)
    with Receiver(tmp_path) as receiver:
        sentinel, aside = receiver.spool / "volume-id", receiver.spool / "aside"
        assert stored(receiver, "BEFORE", one) == 0
        sentinel.rename(aside)
        refused_for_resources(receiver, "MOVED", "volume is not the one of the start")
        assert eventually(receiver.reasons)
        aside.rename(sentinel)
        assert eventually(lambda: receiver.reasons() == [])
        assert stored(receiver, "AFTER", one) == 0
        check_stored(receiver.files_root, "BEFORE", [one])
        check_stored(receiver.files_root, "AFTER", [one])
        # Another volume may have its sentinel at the same inode.
        sentinel.unlink()
        sentinel.write_text("another")
        refused_for_resources(receiver, "SWAPPED", "volume is not the one of the start")
        assert leaks(receiver.log_text()) == []


def test_a_series_folder_that_cannot_be_made_is_a_volume_not_writable(receiver: Receiver) -> None:
    """A file stands where the PACS' folder should be."""
    in_the_way = receiver.files_root / "SERVICES/PACS/INTHEWAY"
    in_the_way.touch()
    with ByteSCU(receiver.scp_port) as scu:
        scu.associate((CT, [EXPLICIT]), calling="INTHEWAY")
        response = scu.store(instance(1))
        assert (response.status, response.comment) == (0xA700, "volume not writable (ENOTDIR)")
        in_the_way.unlink()
        assert scu.store(instance(1)).status == 0
        scu.release()
    assert eventually(lambda: temporary_files(receiver.spool) == [])
    check_stored(receiver.files_root, "INTHEWAY", [instance(1)])


def test_a_series_folder_that_cube_deleted_is_made_anew(receiver: Receiver) -> None:
    first, second = instance(1), instance(2)
    with ByteSCU(receiver.scp_port) as scu:
        scu.associate((CT, [EXPLICIT]), calling="DELETED")
        assert scu.store(first).status == 0
        file = receiver.files_root / first.path("DELETED")
        file.unlink()
        file.parent.rmdir()
        file.parent.parent.rmdir()
        assert scu.store(second).status == 0
        scu.release()
    assert stored_paths(receiver.files_root, "DELETED") == {second.path("DELETED")}


def stored(receiver: Receiver, calling: str, one: Instance) -> int:
    with ByteSCU(receiver.scp_port) as scu:
        scu.associate((CT, [EXPLICIT]), calling=calling)
        status = scu.store(one).status
        scu.release()
    return status


def test_a_refusal_in_a_known_series_counts_for_it(receiver: Receiver) -> None:
    one = instance(1)
    with ByteSCU(receiver.scp_port) as scu:
        scu.associate((CT, [EXPLICIT]), calling="SERIESCOUNT")
        assert [scu.store(one).status for _ in range(3)] == [0, 0, 0]
        assert scu.store(one, sop_instance=f"{ROOT}.6").status == 0xA900
        assert scu.store(instance(2, without=["StudyDate"])).status == 0xC000
        scu.release()

    def ended() -> list[dict[str, object]]:
        return records_of(receiver.spool, records.ASSOCIATION_ENDED, "SERIESCOUNT")

    (end,) = eventually(ended)
    assert (end["received"], end["refused"], end["how"]) == (3, 2, "released")
    (series,) = records_of(receiver.spool, records.SERIES_ENDED, "SERIESCOUNT")
    assert (series["received"], series["ok"]) == (3, True)


def test_the_log_names_an_instance_by_uids_only(receiver: Receiver) -> None:
    one = instance(4711, without=["PatientID"])
    with ByteSCU(receiver.scp_port) as scu:
        scu.associate((CT, [EXPLICIT]), calling="LOGGED")
        assert scu.store(one).status == 0xC000
        scu.release()
    line = receiver.wait_for("instance_refused", SOPInstanceUID=one.sop_instance)
    assert line["SOPClassUID"] == CT
    assert set(line) == {
        *("event", "level", "timestamp", "process", "pid", "association_id"),
        *("status", "reason", "SOPClassUID", "SOPInstanceUID"),
    }
