"""What SCUs propose: transfer syntaxes, SOP classes, character sets, AE titles."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest

from lapidicom.common.journal import records
from lapidicom.receiver.upper_layer.transfer_syntaxes import ACCEPTED_TRANSFER_SYNTAXES
from tests.support.byte_scu import ByteSCU, Rejected
from tests.support.instances import (
    BIG_ENDIAN,
    CT,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    MR,
    PATIENT,
    ROOT,
    Instance,
    data_set_of,
    encoded,
    instance,
    leaks,
)
from tests.support.journals import records_of
from tests.support.on_disk import check_stored, stored_paths, temporary_files
from tests.support.polling import eventually
from tests.support.receiver import Receiver
from tests.support.scus import dcmsend, storescu

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.201"
PRIVATE_SYNTAX = "1.2.840.113619.5.2"
PRIVATE_CLASS = f"{ROOT}.99.1"
SIEMENS_CSA = "1.3.12.2.1107.5.9.1"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
VERIFICATION = "1.2.840.10008.1.1"
NAMES = {
    "ISO_IR 100": "Grünspecht^Öpfel",
    "ISO_IR 144": "Филин^Жижица",
    "ISO_IR 192": "Zwölfflöter^Ägidius=樹懶^笑=나무늘보^웃음",
    "GB18030": "Zho^Xiao=树懒^笑",
    "\\ISO 2022 IR 149": "Hong^Gildong=洪^吉洞=홍^길동",
    "\\ISO 2022 IR 87": "Yamada^Tarou=山田^太郎=やまだ^たろう",
}


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with Receiver(tmp_path_factory.mktemp("receiver"), CHRIS_VERBOSE="yes") as running:
        yield running
        more = [part for name in NAMES.values() for part in name.replace("=", "^").split("^")]
        assert leaks(running.log_text(), more) == []
        assert running.events("association_failed") == []
        assert eventually(lambda: temporary_files(running.spool) == [])


def store_all(receiver: Receiver, calling: str, *sent: Instance) -> None:
    with ByteSCU(receiver.scp_port) as scu:
        scu.associate_for(*sent, calling=calling)
        assert [scu.store(one).status for one in sent] == [0] * len(sent)
        scu.release()


# -- transfer syntaxes ---------------------------------------------------------------------------------------


def test_every_transfer_syntax_of_the_standard_is_stored_as_it_came(receiver: Receiver) -> None:
    syntaxes = ACCEPTED_TRANSFER_SYNTAXES
    assert {IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED, JPEG_BASELINE, HTJ2K_LOSSLESS} <= set(syntaxes)
    sent = [
        instance(number, size=999, transfer_syntax=syntax) for number, syntax in enumerate(syntaxes, start=1)
    ]
    store_all(receiver, "SYNTAXES", *sent)
    check_stored(receiver.files_root, "SYNTAXES", sent)


def test_dcmtk_sends_deflated_and_big_endian_files(receiver: Receiver, tmp_path: Path) -> None:
    """storescu encodes anew what it deflates, so the values are compared and not the bytes."""
    one = instance(1, size=100_000)
    for option, syntax in (("-xd", DEFLATED), ("-xb", BIG_ENDIAN)):
        calling = f"STORESCU{option.upper()}"
        run = storescu(receiver.scp_port, calling, [one.write(tmp_path)], option, "-R", "+C")
        assert run.status == 0, run.output
        assert stored_paths(receiver.files_root, calling) == {one.path(calling)}
        (record,) = records_of(receiver.spool, records.INSTANCE_RECEIVED, calling)
        assert record["TransferSyntaxUID"] == syntax
        assert record["PatientName"] == PATIENT["PatientName"]


def test_dcmsend_sends_compressed_files_as_they_are(receiver: Receiver, tmp_path: Path) -> None:
    sent = [
        instance(number, size=5000, transfer_syntax=syntax)
        for number, syntax in enumerate((JPEG_BASELINE, JPEG_LOSSLESS, "1.2.840.10008.1.2.4.90"), start=1)
    ]
    run = dcmsend(receiver.scp_port, "COMPRESSED", [one.write(tmp_path) for one in sent])
    assert run.status == 0, run.output
    check_stored(receiver.files_root, "COMPRESSED", sent)


def test_the_first_acceptable_transfer_syntax_of_the_scu_wins(receiver: Receiver) -> None:
    with ByteSCU(receiver.scp_port) as scu:
        scu.associate(
            (CT, [PRIVATE_SYNTAX, JPEG_LOSSLESS, IMPLICIT]),
            (CT, [IMPLICIT, EXPLICIT]),
            (CT, [PRIVATE_SYNTAX]),
        )
        assert scu.results == {1: (0, JPEG_LOSSLESS), 3: (0, IMPLICIT), 5: (4, "")}
        scu.release()


def test_an_uncompressed_only_receiver_takes_the_little_endian_ones_only(tmp_path: Path) -> None:
    one = instance(1)
    with Receiver(tmp_path, CHRIS_SCP_UNCOMPRESSED_ONLY="yes") as receiver:
        with ByteSCU(receiver.scp_port) as scu:
            scu.associate(
                (CT, [JPEG_LOSSLESS, EXPLICIT]),
                (CT, [DEFLATED, BIG_ENDIAN, JPEG_BASELINE, HTJ2K_LOSSLESS]),
                (CT, [IMPLICIT]),
                calling="UNCOMPRESSED",
            )
            assert scu.results == {1: (0, EXPLICIT), 3: (4, ""), 5: (0, IMPLICIT)}
            assert scu.store(one).status == 0
            scu.release()
        check_stored(receiver.files_root, "UNCOMPRESSED", [one])
        compressed = instance(2, transfer_syntax=JPEG_BASELINE)
        run = dcmsend(receiver.scp_port, "REFUSED", [compressed.write(tmp_path)])
        assert "NOT sent to the peer   : 1" in run.output, run.output
        assert not (receiver.files_root / "SERVICES/PACS/REFUSED").exists()


# -- SOP classes ---------------------------------------------------------------------------------------------


def test_an_unknown_sop_class_is_stored_by_a_promiscuous_receiver(receiver: Receiver) -> None:
    sent = [instance(1, SOPClassUID=PRIVATE_CLASS), instance(2, SOPClassUID=SIEMENS_CSA), instance(3)]
    store_all(receiver, "UNKNOWNCLASS", *sent)
    check_stored(receiver.files_root, "UNKNOWNCLASS", sent)


def test_an_unknown_sop_class_is_refused_alone_by_one_that_is_not(tmp_path: Path) -> None:
    sent = [instance(1), instance(2, SOPClassUID=SIEMENS_CSA)]
    unknown = instance(3, SOPClassUID=PRIVATE_CLASS)
    with Receiver(tmp_path, CHRIS_SCP_PROMISCUOUS="no") as receiver:
        with ByteSCU(receiver.scp_port) as scu:
            scu.associate_for(unknown, *sent, calling="NOTPROMISC")
            assert scu.results == {1: (3, ""), 3: (0, EXPLICIT), 5: (0, EXPLICIT)}
            assert [scu.store(one).status for one in sent] == [0, 0]
            scu.release()
        check_stored(receiver.files_root, "NOTPROMISC", sent)
        files = [one.write(tmp_path / "dcm") for one in (unknown, *sent)]
        run = dcmsend(receiver.scp_port, "DCMSEND", files)
        assert "Status Summary" in run.output, run.output
        check_stored(receiver.files_root, "DCMSEND", sent)


def test_128_contexts_are_answered_one_by_one(receiver: Receiver) -> None:
    """Storage, unknown, query and verification classes, in turn; good and bad transfer syntaxes."""
    proposals = [
        (CT, [EXPLICIT]),
        (f"{ROOT}.98", [IMPLICIT, EXPLICIT]),
        (STUDY_ROOT_FIND, [IMPLICIT]),
        (VERIFICATION, [IMPLICIT]),
        (MR, [PRIVATE_SYNTAX]),
        (MR, [JPEG_LOSSLESS]),
        (CT, [IMPLICIT]),
        (MR, [EXPLICIT]),
    ]
    answers = [
        (0, EXPLICIT),
        (0, IMPLICIT),
        (3, ""),
        (0, IMPLICIT),
        (4, ""),
        (0, JPEG_LOSSLESS),
        (0, IMPLICIT),
        (0, EXPLICIT),
    ]
    sent = instance(1, SOPClassUID=MR)
    with ByteSCU(receiver.scp_port) as scu:
        scu.associate(*proposals * 16, calling="CONTEXTS128")
        assert [scu.results[n] for n in range(1, 256, 2)] == answers * 16
        assert scu.store(sent, context_id=255).status == 0
        assert scu.echo().status == 0
        scu.release()
    check_stored(receiver.files_root, "CONTEXTS128", [sent])


def test_an_association_without_any_accepted_context_is_accepted_and_released(receiver: Receiver) -> None:
    with ByteSCU(receiver.scp_port) as scu:
        scu.associate((STUDY_ROOT_FIND, [IMPLICIT]))
        assert scu.results == {1: (3, "")}
        scu.release()


# -- character sets ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("charset", NAMES)
def test_a_name_in_another_script_is_stored_and_recorded_as_text(receiver: Receiver, charset: str) -> None:
    data_set = data_set_of(1)
    data_set.SpecificCharacterSet = charset.split("\\")
    data_set.PatientName = NAMES[charset]
    calling = f"CHARSET{sorted(NAMES).index(charset)}"
    sent = [encoded(data_set, EXPLICIT)]
    data_set.SOPInstanceUID, data_set.InstanceNumber = f"{ROOT}.1.2", 2
    sent.append(encoded(data_set, IMPLICIT))
    store_all(receiver, calling, *sent)
    for record in check_stored(receiver.files_root, calling, sent):
        assert record["PatientName"] == NAMES[charset]
        assert record["path"].isascii()


def test_text_that_cannot_be_decoded_is_no_reason_to_refuse(receiver: Receiver) -> None:
    data_set = data_set_of(1)
    data_set.SpecificCharacterSet = "ISO_IR 192"
    data_set.StudyDescription = "XXXX"
    good = encoded(data_set)
    broken = replace(good, data_set=good.data_set.replace(b"XXXX", b"X\xff\xfeX"))
    with ByteSCU(receiver.scp_port) as scu:
        scu.associate_for(broken, calling="UNDECODABLE")
        assert scu.store(broken).status == 0
        scu.release()
    (path,) = stored_paths(receiver.files_root, "UNDECODABLE")
    assert "/X_X-ACCZW8842-" in path
    assert (receiver.files_root / path).read_bytes().endswith(broken.data_set)
    (record,) = records_of(receiver.spool, records.INSTANCE_RECEIVED, "UNDECODABLE")
    assert record["StudyDescription"] == "X\ufffd\ufffdX"


# -- AE titles -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "folder", "recorded", "in_file"),
    [
        (b"PLAIN", "PLAIN", "PLAIN", "PLAIN"),
        (b"  PADDED  ", "PADDED", "PADDED", "PADDED"),
        (b"NULS\0\0\0\0", "NULS", "NULS", "NULS"),
        (b"SIXTEEN.LETTERS!", "SIXTEEN.LETTERS_", "SIXTEEN.LETTERS!", "SIXTEEN.LETTERS!"),
        (b" " * 16, "UNKNOWN", "UNKNOWN", "UNKNOWN"),
        (b"\0" * 16, "UNKNOWN", "UNKNOWN", "UNKNOWN"),
        ("RÖNTGEN".encode("latin-1"), "R_NTGEN", "RÖNTGEN", "R_NTGEN"),
        (b"..", None, None, None),
        (b".", None, None, None),
        (b"../../etc", ".._.._etc", "../../etc", "../../etc"),
        (b"TAB\tLF\nX", "TAB_LF_X", "TAB\tLF\nX", "TAB_LF_X"),
        (b"BACK\\SLASH", "BACK_SLASH", "BACK\\SLASH", "BACK_SLASH"),
        (b"IN NER", "IN_NER", "IN NER", "IN NER"),
    ],
)
def test_a_calling_ae_title_of_a_real_device_names_a_safe_folder(
    ae_title_receiver: Receiver,
    sent: bytes,
    folder: str | None,
    recorded: str | None,
    in_file: str | None,
) -> None:
    receiver = ae_title_receiver
    pacs = receiver.files_root / "SERVICES" / "PACS"
    for stale in sorted(pacs.rglob("*"), reverse=True):  # titles that name one folder
        stale.rmdir() if stale.is_dir() else stale.unlink()
    before = len(records_of(receiver.spool, records.INSTANCE_RECEIVED))
    one = instance(1)
    with ByteSCU(receiver.scp_port) as scu:
        if folder is None or recorded is None:
            with pytest.raises(Rejected) as rejection:
                scu.associate_for(one, calling=sent)
            assert rejection.value.args == (1, 1, 3)
            assert list(pacs.iterdir()) == []
            return
        scu.associate_for(one, calling=sent, called=b"ANY TITLE\0")
        assert scu.store(one).status == 0
        scu.release()
    assert [path.name for path in pacs.iterdir()] == [folder]
    received = records_of(receiver.spool, records.INSTANCE_RECEIVED)[before:]
    assert [one["calling_ae_title"] for one in received] == [recorded]
    assert [one["pacs_name"] for one in received] == [folder]
    (path,) = stored_paths(receiver.files_root)
    meta = pydicom.filereader.read_file_meta_info(receiver.files_root / path)
    assert meta.SourceApplicationEntityTitle == in_file
    assert meta.ReceivingApplicationEntityTitle == "ANY TITLE"


@pytest.fixture(scope="module")
def ae_title_receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with Receiver(tmp_path_factory.mktemp("ae-title-receiver"), CHRIS_FSYNC="no") as running:
        yield running


def test_an_association_is_in_the_log_with_its_titles_and_counts(receiver: Receiver) -> None:
    store_all(receiver, "COUNTED", instance(1), instance(2))
    accepted = receiver.wait_for("association_accepted", calling="COUNTED")
    ended = receiver.wait_for("association_ended", association_id=accepted["association_id"])
    assert (ended["stored"], ended["refused"], ended["released"]) == (2, 0, True)
    assert eventually(lambda: records_of(receiver.spool, records.ASSOCIATION_ENDED, "COUNTED"))
