"""The traps and limits of the walk, on data sets made byte by byte."""

import pytest

from lapidicom.common.instance.coding import LONG_VRS, SHORT_VRS
from lapidicom.common.instance.errors import HeaderError
from lapidicom.common.instance.header import HeaderScanner
from lapidicom.common.instance.sequences import MAX_DEPTH
from lapidicom.common.instance.tags import WANTED, RawValues
from lapidicom.common.instance.walk import MAX_WANTED_BYTES
from tests.support.data_sets import (
    BIG_ENDIAN,
    CODINGS,
    EXPLICIT,
    IMPLICIT,
    UNDEFINED,
    Coding,
    padded,
)

LE = Coding(implicit=False)
BE = Coding(implicit=False, big=True)
ILE = Coding(implicit=True)
NONE = RawValues(*(None,) * len(RawValues._fields))

each_coding = pytest.mark.parametrize("coding", CODINGS, ids=["implicit", "explicit", "big endian"])


def scan(data: bytes, transfer_syntax: str, piece: int | None = None) -> RawValues:
    """Scan a data set, in one piece or in pieces whose buffer is overwritten after each call."""
    scanner = HeaderScanner(transfer_syntax)
    size = piece or max(len(data), 1)
    call = scanner.start
    for start in range(0, max(len(data), 1), size):
        buffer = bytearray(data[start : start + size])
        call(memoryview(buffer))
        buffer[:] = b"\xee" * len(buffer)
        call = scanner.feed
    return scanner.finish()


def scan_all_ways(data: bytes, coding: Coding) -> RawValues:
    """Scan in one piece and in several sizes of pieces: the same must come out."""
    whole = scan(data, coding.transfer_syntax)
    for piece in (1, 2, 3, 7, 8, 11, 12, 13, 64):
        assert scan(data, coding.transfer_syntax, piece) == whole
    return whole


def some_elements(coding: Coding) -> bytes:
    return b"".join(
        [
            coding.element(0x00080005, "CS", b"ISO_IR 100"),
            coding.element(0x00080018, "UI", b"1.2.3\0"),
            coding.element(0x00080020, "DA", b"20130308"),
            coding.element(0x00080050, "SH", b""),
            coding.element(0x00100010, "PN", b"Doe^John"),
            coding.element(0x0020000D, "UI", b"1.2\0"),
            coding.element(0x00200013, "IS", b"7 "),
        ]
    )


SOME = NONE._replace(
    SpecificCharacterSet=b"ISO_IR 100",
    SOPInstanceUID=b"1.2.3\0",
    StudyDate=b"20130308",
    AccessionNumber=b"",
    PatientName=b"Doe^John",
    StudyInstanceUID=b"1.2\0",
    InstanceNumber=b"7 ",
)


@each_coding
def test_wanted_values_are_kept_as_sent_and_missing_ones_are_none(coding: Coding) -> None:
    assert scan_all_ways(some_elements(coding), coding) == SOME


@each_coding
def test_what_cannot_be_read_behind_the_wanted_elements_does_no_harm(coding: Coding) -> None:
    data = some_elements(coding) + coding.element(0x00200032, "DS", b"1\\2\\3 ") + b"\xff" * 100
    assert scan_all_ways(data, coding) == SOME


@each_coding
@pytest.mark.parametrize("tag", [0x00100010, 0x00200013])
def test_a_wanted_tag_in_what_cannot_be_read_is_refused(coding: Coding, tag: int) -> None:
    data = some_elements(coding) + coding.element(0x7FE00010, "OB", b"", UNDEFINED)
    data += b"\xee" * 21 + coding.element(tag, "LO", b"Doe^Jane") + b"\xee" * 21
    error = fault(data, coding.transfer_syntax)
    assert error.fault == "elements behind (7fe0,0010) cannot be read"
    assert error.tag == 0x7FE00010


@each_coding
def test_a_data_set_may_end_with_the_instance_number(coding: Coding) -> None:
    scanner = HeaderScanner(coding.transfer_syntax)
    scanner.start(some_elements(coding))
    assert scanner.finish() == SOME


@each_coding
def test_an_element_out_of_order_before_the_end_of_the_walk_is_taken(coding: Coding) -> None:
    data = coding.element(0x0020000D, "UI", b"1.2\0") + coding.element(0x00080018, "UI", b"1.2.3\0")
    found = scan_all_ways(data, coding)
    assert found == NONE._replace(StudyInstanceUID=b"1.2\0", SOPInstanceUID=b"1.2.3\0")


@each_coding
@pytest.mark.parametrize("tag", [0x00080018, 0x0020000E])
@pytest.mark.parametrize("before", [0x00200032, 0x00280010, 0x7FE00010, 0xFFFCFFFC])
def test_a_wanted_element_is_found_behind_higher_tags(coding: Coding, before: int, tag: int) -> None:
    first = coding.element(0x00080016, "UI", b"1.2.4\0") + coding.element(before, "OB", b"\1\0" * 40)
    data = first + coding.element(tag, "UI", b"1.2.3\0") + coding.element(0x00400275, "LO", b"x ")
    keyword = {0x00080018: "SOPInstanceUID", 0x0020000E: "SeriesInstanceUID"}[tag]
    assert scan_all_ways(data, coding) == NONE._replace(SOPClassUID=b"1.2.4\0", **{keyword: b"1.2.3\0"})


@each_coding
def test_the_last_of_two_counts_behind_higher_tags_too(coding: Coding) -> None:
    pixels = coding.sequence(0x7FE00010, [b"\xff\xd8" * 50, b""], vr="OB", items_defined=True)
    data = some_elements(coding) + pixels + coding.element(0x00100010, "PN", b"Doe^Jane")
    assert scan_all_ways(data, coding) == SOME._replace(PatientName=b"Doe^Jane")
    assert fault(data[:-1], coding.transfer_syntax).fault == "the data set ends inside an element"


@each_coding
@pytest.mark.parametrize("cut", [1, 9, 60, 75])
def test_a_data_set_may_end_anywhere_behind_the_wanted_elements(coding: Coding, cut: int) -> None:
    tail = coding.sequence(0x00400275, [coding.element(0x00400007, "LO", b"x ")] * 2)
    data = some_elements(coding) + tail + coding.element(0x7FE00010, "OW", b"\1\0" * 10)
    assert scan_all_ways(data[:-cut], coding) == SOME


@each_coding
def test_the_last_of_several_elements_with_one_tag_counts(coding: Coding) -> None:
    data = coding.element(0x00080018, "UI", b"1.2.3\0") + coding.element(0x00080018, "UI", b"4.5\0")
    assert scan_all_ways(data, coding).SOPInstanceUID == b"4.5\0"


@each_coding
@pytest.mark.parametrize("defined", [True, False])
@pytest.mark.parametrize("items_defined", [True, False])
def test_nothing_is_taken_from_within_sequences(coding: Coding, defined: bool, items_defined: bool) -> None:
    inner = coding.sequence(0x00081140, [coding.element(0x00080018, "UI", b"9.9\0")], defined)
    item = coding.element(0x00100020, "LO", b"inside") + inner + coding.element(0x0020000D, "UI", b"8.8\0")
    data = b"".join(
        [
            coding.element(0x00080018, "UI", b"1.2.3\0"),
            coding.sequence(0x00081111, [item, b"", item], defined, items_defined=items_defined),
            coding.sequence(0x00081115, [], defined),
            coding.element(0x00100020, "LO", b"outside "),
            coding.element(0x00280010, "US", b"\1\0"),
        ]
    )
    found = scan_all_ways(data, coding)
    assert found == NONE._replace(SOPInstanceUID=b"1.2.3\0", PatientID=b"outside ")


@pytest.mark.parametrize("coding", [LE, BE], ids=["explicit", "big endian"])
def test_a_un_of_undefined_length_holds_implicit_little_endian(coding: Coding) -> None:
    item = (
        ILE.element(0x00091001, "LO", b"x" * 10)
        + ILE.sequence(0x00091002, [ILE.element(0x00100020, "LO", b"no")])
        + ILE.element(0x00100020, "LO", b"inside")
    )
    content = b"".join(ILE.item(item, defined) for defined in (False, True)) + ILE.delimiter(0xFFFEE0DD)
    data = coding.element(0x00091010, "UN", content, UNDEFINED) + coding.element(
        0x00100020, "LO", b"outside "
    )
    assert scan_all_ways(data, coding) == NONE._replace(PatientID=b"outside ")


@pytest.mark.parametrize("coding", [LE, BE], ids=["explicit", "big endian"])
@pytest.mark.parametrize("vr", ["LO", "DA", "TM", "PN", "FD", "LT"])
def test_a_length_in_a_un_of_undefined_length_is_no_vr(coding: Coding, vr: str) -> None:
    """PS3.5 section 6.2.2: it is implicit VR, also where a length, of 20,300 say, spells LO."""
    length = int.from_bytes(vr.encode(), "little")
    inner = ILE.sequence(0x00091012, [ILE.element(0x00091013, "", b"y" * length)])
    item = ILE.element(0x00091011, "", b"x" * length) + inner
    content = b"".join(ILE.item(item, defined) for defined in (False, True)) + ILE.delimiter(0xFFFEE0DD)
    data = coding.element(0x00091010, "UN", content, UNDEFINED) + coding.element(
        0x00100020, "LO", b"outside "
    )
    for piece in (None, 7, 4096):
        assert scan(data, coding.transfer_syntax, piece) == NONE._replace(PatientID=b"outside ")


def test_a_sequence_in_explicit_vr_may_hold_an_item_in_implicit_vr() -> None:
    items = [ILE.element(0x00100020, "LO", b"in"), LE.element(0x00100020, "LO", b"in")]
    data = LE.sequence(0x00081111, items) + LE.element(0x00100020, "LO", b"outside ")
    assert scan_all_ways(data, LE).PatientID == b"outside "


def test_a_un_of_undefined_length_within_an_item_is_walked_over() -> None:
    un = LE.element(0x00091010, "UN", ILE.item(ILE.element(0x00091011, "DS", b"1 "), False), UNDEFINED)
    un += ILE.delimiter(0xFFFEE0DD)
    item = LE.element(0x00091001, "SH", b"a ") + un + LE.element(0x00091012, "SH", b"b ")
    data = LE.sequence(0x00081111, [item]) + LE.element(0x00100020, "LO", b"outside ")
    assert scan_all_ways(data, LE).PatientID == b"outside "


@pytest.mark.parametrize("coding", [LE, BE], ids=["explicit", "big endian"])
@pytest.mark.parametrize("vr", ["ZZ", "QX", *sorted(LONG_VRS)])
def test_an_unknown_vr_has_a_32_bit_length_as_all_that_are_not_short(coding: Coding, vr: str) -> None:
    data = coding.element(0x00091010, vr, b"x" * 70000) + coding.element(0x00100020, "LO", b"id")
    assert scan(data, coding.transfer_syntax).PatientID == b"id"
    assert scan(data, coding.transfer_syntax, 100).PatientID == b"id"


@pytest.mark.parametrize("coding", [LE, BE], ids=["explicit", "big endian"])
@pytest.mark.parametrize("vr", sorted(SHORT_VRS))
def test_a_short_vr_has_a_16_bit_length(coding: Coding, vr: str) -> None:
    data = coding.element(0x00091010, vr, b"x" * 65534) + coding.element(0x00100020, "LO", b"id")
    assert scan(data, coding.transfer_syntax).PatientID == b"id"


def test_the_short_vrs_are_those_that_pydicom_knows() -> None:
    from pydicom.valuerep import EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32

    assert {str(vr.value) for vr in EXPLICIT_VR_LENGTH_16} == SHORT_VRS
    assert {str(vr.value) for vr in EXPLICIT_VR_LENGTH_32} == LONG_VRS


def test_an_element_without_a_vr_in_explicit_vr_is_read_as_implicit() -> None:
    data = ILE.element(0x00091010, "", b"x" * 10) + LE.element(0x00100020, "LO", b"id")
    assert scan_all_ways(data, LE).PatientID == b"id"


@pytest.mark.parametrize("coding", [LE, BE], ids=["explicit", "big endian"])
@pytest.mark.parametrize("vr", ["??", "--"])
def test_question_marks_instead_of_a_vr_go_with_a_16_bit_length(coding: Coding, vr: str) -> None:
    def unknown(value: bytes) -> bytes:
        return coding.element(0x00091010, "LO", value).replace(b"LO", vr.encode(), 1)

    data = unknown(b"x" * 10) + unknown(b"") + coding.sequence(0x00091011, [coding.element(8, "SH", b"")])
    data += coding.element(0x00100020, "LO", b"id") + coding.element(0x00280010, "US", b"\1\0")
    assert scan_all_ways(data + unknown(b"y" * 300), coding) == NONE._replace(PatientID=b"id")


@each_coding
def test_group_lengths_are_walked_over(coding: Coding) -> None:
    data = b"".join(
        [
            coding.element(0x00080000, "UL", b"\xff\xff\xff\xff"),
            coding.element(0x00080018, "UI", b"1.2.3\0"),
            coding.element(0x00100000, "UL", b"\0\0\0\0"),
            coding.element(0x00100020, "LO", b"id"),
        ]
    )
    assert scan_all_ways(data, coding) == NONE._replace(SOPInstanceUID=b"1.2.3\0", PatientID=b"id")


@each_coding
def test_megabytes_of_private_groups_are_skipped_without_being_kept(coding: Coding) -> None:
    size = 2 * 1024 * 1024
    private = coding.element(0x00091010, "OB", b"\x08\0\x18\0" * (size // 4))
    private += coding.element(0x00191010, "UN", b"\xff" * size)
    data = coding.element(0x00080018, "UI", b"1.2.3\0") + private + coding.element(0x0020000D, "UI", b"1.2\0")
    scanner = HeaderScanner(coding.transfer_syntax)
    scanner.start(data[:100])
    for start in range(100, len(data), 65536):
        scanner.feed(data[start : start + 65536])
        assert len(scanner._walk._carry) + len(scanner._walk._partial) < 16
    assert scanner.finish() == NONE._replace(SOPInstanceUID=b"1.2.3\0", StudyInstanceUID=b"1.2\0")


@each_coding
def test_a_left_over_end_of_a_sequence_is_walked_over(coding: Coding) -> None:
    data = b"".join(
        [
            coding.sequence(0x00081111, [b""], defined=True),
            coding.delimiter(0xFFFEE0DD),
            coding.element(0x00100020, "LO", b"id"),
        ]
    )
    assert scan_all_ways(data, coding).PatientID == b"id"


def fault(data: bytes, transfer_syntax: str) -> HeaderError:
    """The error of a scan, which is the same in one piece and in many."""
    faults = []
    for piece in (None, 1, 5, 12):
        with pytest.raises(HeaderError) as caught:
            scan(data, transfer_syntax, piece)
        faults.append(caught.value)
    assert len({(error.fault, error.tag) for error in faults}) == 1
    assert len(faults[0].fault) <= 64
    return faults[0]


@each_coding
def test_an_empty_data_set_is_refused(coding: Coding) -> None:
    assert fault(b"", coding.transfer_syntax).fault == "the data set is empty"


@each_coding
def test_a_data_set_that_ends_anywhere_but_behind_an_element_is_refused(coding: Coding) -> None:
    elements = [
        coding.element(0x00080018, "UI", b"1.2.3\0"),
        coding.sequence(0x00081111, [coding.element(0x00100020, "LO", b"no")]),
        coding.element(0x00091010, "OB", b"skipped!"),
        coding.element(0x00100020, "LO", b"id"),
    ]
    data = b"".join(elements)
    whole = {sum(map(len, elements[:count])) for count in range(1, len(elements) + 1)}
    for size in range(1, len(data) + 1):
        if size in whole:
            assert scan(data[:size], coding.transfer_syntax).SOPInstanceUID == b"1.2.3\0"
        else:
            assert fault(data[:size], coding.transfer_syntax).fault == "the data set ends inside an element"


@each_coding
@pytest.mark.parametrize("meta_coding", [LE, ILE], ids=["explicit", "implicit"])
def test_elements_of_file_meta_at_the_start_are_walked_over(coding: Coding, meta_coding: Coding) -> None:
    meta = b"".join(
        [
            meta_coding.element(0x00020000, "UL", b"\x10\0\0\0"),
            meta_coding.element(0x00020001, "OB", b"\0\1"),
            meta_coding.element(0x00020010, "UI", b"1.2.840.10008.1.2.4.70"),
            meta_coding.element(0x00020102, "OB", b"x" * 300),
        ]
    )
    scanner = HeaderScanner(coding.transfer_syntax)
    for data in (meta + some_elements(coding), some_elements(coding)) * 2:
        scanner.start(data + coding.element(0x00280010, "US", b"\1\0"))
        assert scanner.finish() == SOME
    assert scan_all_ways(meta + some_elements(coding), coding) == SOME


def test_elements_of_file_meta_in_big_endian_are_walked_over_too() -> None:
    data = BE.element(0x00020010, "UI", b"1.2.840.10008.1.2.2\0") + some_elements(BE)
    assert scan_all_ways(data, BE) == SOME


@each_coding
def test_file_meta_alone_is_no_data_set(coding: Coding) -> None:
    assert fault(LE.element(0x00020010, "UI", b"1.2\0"), coding.transfer_syntax).fault == (
        "the data set is empty"
    )


@each_coding
def test_a_command_at_the_start_is_refused(coding: Coding) -> None:
    data = coding.element(0x00000002, "UI", b"1.2\0") + some_elements(coding)
    error = fault(data, coding.transfer_syntax)
    assert error.fault == "group 0000 at the start of the data set"
    assert error.tag == 0


@each_coding
def test_an_item_delimiter_behind_an_item_of_defined_length_is_walked_over(coding: Coding) -> None:
    item = coding.item(coding.element(0x00100020, "LO", b"in"), True) + coding.delimiter(0xFFFEE00D)
    sequence = coding.element(0x00081111, "SQ", item * 2 + coding.delimiter(0xFFFEE0DD), UNDEFINED)
    assert scan_all_ways(sequence + some_elements(coding), coding) == SOME
    assert scan_all_ways(coding.delimiter(0xFFFEE00D) + some_elements(coding), coding) == SOME


def test_a_whole_file_with_its_preamble_is_refused() -> None:
    assert fault(b"\0" * 128 + b"DICM", EXPLICIT).fault == "group 0000 at the start of the data set"


@each_coding
def test_wanted_values_have_a_limit_together(coding: Coding) -> None:
    half = MAX_WANTED_BYTES // 2
    data = coding.element(0x00080050, "SH", b"x" * half) + coding.element(0x00081030, "LO", b"y" * half)
    assert scan(data, coding.transfer_syntax, 1000).StudyDescription == b"y" * half
    data += coding.element(0x00100010, "PN", b"z")
    error = fault(data, coding.transfer_syntax)
    assert error.fault == "PatientName (0010,0010) exceeds 64 KiB of wanted values"
    assert error.tag == 0x00100010


def test_a_huge_wanted_value_is_refused_before_a_byte_of_it_has_come() -> None:
    scanner = HeaderScanner(IMPLICIT)
    with pytest.raises(HeaderError, match="StudyDescription"):
        scanner.start(ILE.element(0x00081030, "LO", b"", 0xFFFF_FFFE))


def test_the_same_wanted_element_over_and_over_has_the_limit_too() -> None:
    data = LE.element(0x00080050, "SH", b"x" * 60000) * 2
    assert fault(data, EXPLICIT).tag == 0x00080050


def test_a_wanted_element_of_undefined_length_is_refused() -> None:
    error = fault(ILE.sequence(0x00100010, [b""]), IMPLICIT)
    assert error.fault == "PatientName (0010,0010) has an undefined length"


def nested(coding: Coding, depth: int) -> bytes:
    head = coding.element(0x00081111, "SQ", b"", UNDEFINED) + coding.delimiter(0xFFFEE000, UNDEFINED)
    tail = coding.delimiter(0xFFFEE00D) + coding.delimiter(0xFFFEE0DD)
    return head * depth + tail * depth


@each_coding
def test_sequences_are_walked_to_their_limit_of_depth(coding: Coding) -> None:
    data = nested(coding, MAX_DEPTH) + coding.element(0x00100020, "LO", b"id")
    assert scan_all_ways(data, coding).PatientID == b"id"
    assert fault(nested(coding, MAX_DEPTH + 1), coding.transfer_syntax).fault == (
        "sequences are nested deeper than 64"
    )


@each_coding
def test_an_element_where_an_item_must_be_is_refused(coding: Coding) -> None:
    data = coding.element(0x00081111, "SQ", b"", UNDEFINED) + coding.element(0x00100020, "LO", b"secret")
    error = fault(data, coding.transfer_syntax)
    assert error.fault == "PatientID (0010,0020) where an item must be"
    assert error.tag == 0x00100020


@pytest.mark.parametrize("tag", WANTED)
def test_every_fault_of_a_wanted_tag_fits_into_an_error_comment(tag: int) -> None:
    item_missing = ILE.element(0x00081111, "SQ", b"", UNDEFINED) + ILE.element(tag, "", b"")
    undefined = ILE.element(tag, "", b"", UNDEFINED)
    too_long = ILE.element(tag, "", b"", MAX_WANTED_BYTES + 1)
    assert {fault(data, IMPLICIT).tag for data in (item_missing, undefined, too_long)} == {tag}


def test_a_scanner_goes_on_with_the_next_data_set_after_a_fault() -> None:
    scanner = HeaderScanner(EXPLICIT)
    with pytest.raises(HeaderError):
        scanner.start(LE.element(0x00000010, "UI", b"1.2\0"))
    scanner.start(some_elements(LE)[:50])
    scanner.start(some_elements(LE))
    assert scanner.finish() == SOME


def test_an_unknown_transfer_syntax_is_read_as_explicit_little_endian() -> None:
    assert scan(some_elements(LE), "1.2.840.10008.1.2.4.90") == SOME
    assert scan(some_elements(BE), BIG_ENDIAN) == SOME


@each_coding
def test_what_is_kept_between_tiny_pieces_is_never_more_than_a_header(coding: Coding) -> None:
    data = coding.element(0x00091010, "SH", b"x ") * 500 + coding.element(0x00081030, "LO", padded("y" * 9))
    scanner = HeaderScanner(coding.transfer_syntax)
    scanner.start(b"")
    for position in range(len(data)):
        scanner.feed(data[position : position + 1])
        assert len(scanner._walk._carry) < 12
    assert scanner.finish().StudyDescription == b"yyyyyyyyy "
