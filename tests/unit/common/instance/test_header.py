"""The header scan against pydicom, on all files that it ships and on data sets that are made up."""

import io
import warnings
import zlib
from itertools import pairwise
from pathlib import Path

import pydicom
import pydicom.data
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

from lapidicom.common.instance import inflate
from lapidicom.common.instance.charset import decode
from lapidicom.common.instance.errors import HeaderError
from lapidicom.common.instance.header import HeaderScanner
from lapidicom.common.instance.inflate import MAX_INFLATED_ELEMENTS
from lapidicom.common.instance.tags import InstanceTags, RawValues
from tests.support.data_sets import (
    BIG_ENDIAN,
    CODINGS,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    Coding,
    data_set_bytes,
    written_by_pydicom,
)
from tests.support.seeds import examples

LE = Coding(implicit=False)
each_coding = pytest.mark.parametrize("coding", CODINGS, ids=["implicit", "explicit", "big endian"])

SHIPPED = sorted(
    file for file in Path(pydicom.data.data_manager.DATA_ROOT).rglob("*.dcm") if "dicomdir" not in str(file)
)


def scan(scanner: HeaderScanner, data: bytes, cuts: list[int] | None = None) -> RawValues:
    """Scan a data set cut at these offsets; each piece is overwritten after its call."""
    edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts or []}), len(data)]
    call = scanner.start
    for start, stop in pairwise(edges):
        piece = bytearray(data[start:stop])
        call(memoryview(piece))
        piece[:] = bytes(len(piece))
        call = scanner.feed
    return scanner.finish()


def tags_by_pydicom(data_set: Dataset) -> InstanceTags:
    """What pydicom reads, by our rules for several values, NULs, blanks and absence."""
    found = {}
    for keyword in InstanceTags._fields:
        value = data_set.get(keyword)
        if isinstance(value, MultiValue):
            value = value[0] if len(value) else None
        text = None if value is None else str(value).replace("\0", "").strip()
        found[keyword] = text or None
    return InstanceTags(**found)


def without_empty_groups(tags: InstanceTags) -> InstanceTags:
    """pydicom leaves out empty component groups at a name's end; ours is the stored text, blanks and all."""
    return tags._replace(PatientName=(tags.PatientName or "").rstrip("= ") or None)


def transfer_syntax_of(data_set: Dataset) -> str:
    declared = getattr(getattr(data_set, "file_meta", None), "TransferSyntaxUID", None)
    if declared:
        return str(declared)
    implicit, little = data_set.original_encoding
    return IMPLICIT if implicit else EXPLICIT if little else BIG_ENDIAN


def test_pydicom_ships_enough_files() -> None:
    assert len(SHIPPED) > 80


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_the_scan_finds_what_pydicom_finds_in_the_files_that_it_ships(file: Path) -> None:
    data = data_set_bytes(file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data_set = pydicom.dcmread(file, force=True, stop_before_pixels=True)
        expected = tags_by_pydicom(data_set)
    syntax = transfer_syntax_of(data_set)
    scanner = HeaderScanner(syntax)
    raw = scan(scanner, data)
    assert without_empty_groups(decode(raw)) == without_empty_groups(expected)
    assert scan(scanner, data) == raw  # by the layout that it learned, if it could
    head = data[:6000]
    if len(data) > len(head) and syntax != DEFLATED:
        head += data[6000:]
    assert scan(HeaderScanner(syntax), head, [*range(1, 6000), *range(6000, len(head), 997)]) == raw


texts = st.text(alphabet="ABCdef 012.^-", max_size=16)
names = st.lists(st.text(alphabet="ABCdef ^", max_size=20), max_size=3).map("=".join)
uids = st.lists(st.integers(0, 10**9).map(str), min_size=1, max_size=5).map(
    lambda parts: ".".join(["1", *parts])
)


@st.composite
def data_sets(draw: st.DrawFn, depth: int = 0) -> Dataset:
    """A data set with some of the wanted elements, private ones, and sequences of either kind of length."""
    data_set = Dataset()
    for keyword in draw(st.sets(st.sampled_from(InstanceTags._fields[3:]), max_size=14)):
        if keyword.endswith("UID"):
            value = draw(uids)
        elif keyword in ("StudyDate", "PatientBirthDate"):
            value = draw(st.sampled_from(["20130308", "", "19991231"]))
        elif keyword.endswith("Number") and keyword != "AccessionNumber":
            value = draw(st.sampled_from(["1", "22", "333", ""]))
        elif keyword == "PatientAge":
            value = draw(st.sampled_from(["030Y", "002W"]))
        elif keyword in ("Modality", "PatientSex"):
            value = draw(st.sampled_from(["MR", "M", ""]))
        elif keyword == "PatientName":
            value = draw(names)
        else:
            value = draw(texts)
        setattr(data_set, keyword, value)
    for group in draw(st.sets(st.sampled_from([0x0009, 0x0011, 0x0019, 0x0029]), max_size=3)):
        data_set.add_new(group << 16 | 0x0010, "LO", "LAPIDICOM TEST")
        vr, values = draw(
            st.sampled_from(
                [
                    ("OB", st.binary(max_size=300).map(lambda data: data + b"\0" * (len(data) % 2))),
                    ("UN", st.binary(max_size=30).map(lambda data: data + b"\0" * (len(data) % 2))),
                    ("LO", texts),
                    ("UT", texts),
                    ("US", st.integers(0, 65535)),
                ]
            )
        )
        data_set.add_new(group << 16 | 0x1001, vr, draw(values))
    if depth < 3:
        tags = st.sets(
            st.sampled_from([0x00081111, 0x00081140, 0x00082112, 0x00101002, 0x00189006]), max_size=2
        )
        for tag in draw(tags):
            items = draw(st.lists(data_sets(depth + 1), max_size=2))
            for item in items:
                item.is_undefined_length_sequence_item = draw(st.booleans())
            data_set.add_new(tag, "SQ", Sequence(items))
            data_set[tag].is_undefined_length = draw(st.booleans())
    if draw(st.booleans()):
        data_set.add_new(0x00280010, "US", 512)
        data_set.add_new(0x00420011, "OB", draw(st.binary(max_size=99).map(lambda data: data + data)))
    return data_set


def read_by_pydicom(data: bytes, coding: Coding) -> Dataset:
    return read_dataset(io.BytesIO(data), coding.implicit, not coding.big)


cuts = st.lists(st.integers(0, 100_000), max_size=12)


@settings(max_examples=examples(250))
@given(data_sets(), st.sampled_from(CODINGS), cuts)
def test_the_scan_finds_what_pydicom_finds_however_the_bytes_are_split(
    data_set: Dataset, coding: Coding, cuts: list[int]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it doubts values that we made up
        data = written_by_pydicom(data_set, coding)
        if not data:
            return
        expected = tags_by_pydicom(read_by_pydicom(data, coding))
    raw = scan(HeaderScanner(coding.transfer_syntax), data)
    assert without_empty_groups(decode(raw)) == without_empty_groups(expected)
    assert scan(HeaderScanner(coding.transfer_syntax), data, cuts) == raw
    assert scan(HeaderScanner(coding.transfer_syntax), data, list(range(len(data)))) == raw


@st.composite
def disordered(draw: st.DrawFn, coding: Coding) -> bytes:
    """Elements of a data set in any order, some twice, wanted ones behind Pixel Data, File Meta in front."""
    data_set = draw(data_sets())
    elements = [bytes(written_by_pydicom(_only(element), coding)) for element in data_set]
    for _ in range(draw(st.integers(0, 3))):
        twin = Dataset()
        setattr(
            twin, draw(st.sampled_from(["PatientID", "AccessionNumber", "StudyDescription"])), draw(texts)
        )
        elements.append(written_by_pydicom(twin, coding))
    if draw(st.booleans()):
        vr = "OW"
        pixels = coding.element(0x7FE00010, vr, draw(st.binary(max_size=200).map(lambda data: data + data)))
        if draw(st.booleans()):
            frames = draw(st.lists(st.binary(max_size=99).map(lambda data: data + data), max_size=3))
            pixels = coding.sequence(0x7FE00010, [b"", *frames], vr="OB", items_defined=True)
        elements.append(pixels)
    meta = [LE.element(0x00020010, "UI", b"1.2.840.10008.1.2.1\0")] if draw(st.booleans()) else []
    return b"".join(meta + draw(st.permutations(elements)))


def _only(element: DataElement) -> Dataset:
    data_set = Dataset()
    data_set.add(element)
    return data_set


@settings(max_examples=examples(400))
@given(st.data(), st.sampled_from(CODINGS), cuts)
def test_elements_in_any_order_give_what_pydicom_finds_or_are_refused(
    draw: st.DataObject, coding: Coding, cuts: list[int]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = draw.draw(disordered(coding))
        body = data[len(LE.element(0x00020010, "UI", b"1.2.840.10008.1.2.1\0")) :]
        expected = tags_by_pydicom(read_by_pydicom(body if data[:2] == b"\2\0" else data, coding))
    scanner = HeaderScanner(coding.transfer_syntax)
    outcomes = set()
    for split in ([], cuts, [], list(range(len(data)))):
        try:
            raw = scan(scanner, data, split)
        except HeaderError as error:
            outcomes.add(error.fault)
        else:
            assert without_empty_groups(decode(raw)) == without_empty_groups(expected)
            outcomes.add("read")
    assert len(outcomes) == 1
    if outcomes != {"read"}:
        assert outcomes == {"the data set is empty"}


@settings(max_examples=examples(100))
@given(data_sets(), cuts)
def test_a_deflated_data_set_gives_what_it_gives_inflated(data_set: Dataset, cuts: list[int]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = written_by_pydicom(data_set, LE)
    if plain:
        scanner = HeaderScanner(DEFLATED)
        expected = scan(HeaderScanner(EXPLICIT), plain)
        assert scan(scanner, deflated(plain), cuts) == expected
        assert scan(scanner, deflated(plain) + b"\0") == expected  # PS3.5 section A.5: padded to even length


def deflated(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


@st.composite
def similar_instances(draw: st.DrawFn) -> list[list[tuple[int, str, bytes]]]:
    """The elements of instances of one series: now and then a length, an element or a VR is another."""
    base = [
        (0x00080005, "CS", b"ISO_IR 100"),
        (0x00080008, "CS", b"ORIGINAL\\PRIMARY"),
        (0x00080018, "UI", b"1.2.3.4\0"),
        (0x00080020, "DA", b"20130308"),
        (0x00080060, "CS", b"MR"),
        (0x00081030, "LO", b"Brain "),
        (0x00100020, "LO", b"id"),
        (0x00180050, "DS", b"1.0 "),
        (0x00191010, "OB", b"x" * 40),
        (0x0020000D, "UI", b"1.2\0"),
        (0x00200013, "IS", b"7 "),
        (0x00200032, "DS", b"0\\-1.25\\0"),
        (0x00280010, "US", b"\1\0"),
        (0x00281050, "DS", b"40"),
        (0x7FE00010, "OW", b"\1\0" * 90),
    ]
    instances = []
    for _ in range(draw(st.integers(2, 14))):
        elements = [(tag, vr, draw(st.sampled_from([value, value[::-1]]))) for tag, vr, value in base]
        for _ in range(draw(st.integers(0, 2))):
            place = draw(st.integers(0, len(elements) - 1))
            tag, vr, value = elements[place]
            change = draw(st.sampled_from(["longer", "empty", "gone", "twice", "vr", "moved"]))
            if change == "longer":
                elements[place] = (tag, vr, value + b"99" * draw(st.integers(1, 2)))
            elif change == "empty":
                elements[place] = (tag, vr, b"")
            elif change == "gone" and len(elements) > 1:
                del elements[place]
            elif change == "twice":
                elements.insert(place, elements[place])
            elif change == "moved":
                elements.append(elements.pop(place))
            else:
                elements[place] = (tag, "UN", value)
        instances.append(elements)
    return instances


@settings(max_examples=examples(200))
@given(similar_instances(), st.sampled_from(CODINGS))
def test_a_learned_layout_gives_what_the_walk_gives(
    instances: list[list[tuple[int, str, bytes]]], coding: Coding
) -> None:
    scanner = HeaderScanner(coding.transfer_syntax)
    for elements in instances:
        data = b"".join(coding.element(*element) for element in elements)
        walked = scan(HeaderScanner(coding.transfer_syntax), data)
        assert scan(scanner, data) == walked
        assert scan(scanner, data) == walked
        assert len(scanner._heads) <= 8


def series(coding: Coding, number: int, description: bytes = b"Brain ") -> bytes:
    return b"".join(
        [
            coding.element(0x00080018, "UI", b"1.2.%05d\0" % number),
            coding.sequence(0x00081140, [coding.element(0x00081155, "UI", b"9.%05d\0" % number)]),
            coding.element(0x00081030, "LO", description),
            coding.element(0x00200013, "IS", b"%05d " % number),
            coding.element(0x00280010, "US", b"\1\0"),
        ]
    )


@each_coding
def test_the_instances_of_a_series_are_lifted_without_a_walk(coding: Coding) -> None:
    scanner = HeaderScanner(coding.transfer_syntax)
    for number in (1, 2):  # the first one to learn the head, the second one to learn the tail
        assert scan(scanner, series(coding, number)).InstanceNumber == b"%05d " % number
        assert scanner._walk is not None
    for number in (3, 4):
        assert scan(scanner, series(coding, number)).InstanceNumber == b"%05d " % number
        assert scanner._walk is None
    assert scan(scanner, series(coding, 5, b"longer")).StudyDescription == b"longer"
    assert scanner._walk is None
    assert scan(scanner, series(coding, 6, b"much longer ")).StudyDescription == b"much longer "
    assert scanner._walk is not None


@each_coding
def test_elements_that_vary_in_length_behind_the_wanted_ones_are_learned_apart(coding: Coding) -> None:
    scanner = HeaderScanner(coding.transfer_syntax)

    def instance(number: int) -> bytes:
        position = b"-%d.5\\0 " % 10 ** (number % 5)
        window = b"%d " % 10 ** (number % 3)
        return series(coding, number)[: -len(coding.element(0x00280010, "US", b"\1\0"))] + b"".join(
            [
                coding.element(0x00200032, "DS", position + b" " * (len(position) % 2)),
                coding.element(0x00280010, "US", b"\1\0"),
                coding.element(0x00281050, "DS", window + b" " * (len(window) % 2)),
                coding.sequence(0x00400275, [coding.element(0x00400007, "LO", b"x ")]),
                coding.element(0x7FE00010, "OW", bytes(1000)),
            ]
        )

    walked = 0
    for number in range(100):
        data = instance(number)
        assert scan(scanner, data, [1400, 1500] if number % 2 else []).InstanceNumber == b"%05d " % number
        walked += scanner._walk is not None
    assert walked < 12


@each_coding
@pytest.mark.parametrize("tag", [0x00080018, 0x00100010, 0x00200013])
def test_a_wanted_element_in_a_tail_is_found_beside_learned_tails(coding: Coding, tag: int) -> None:
    tails = [
        coding.element(0x00280011, "US", b"\1\0") + coding.element(0x7FE00010, "OW", bytes(500)),
        coding.element(tag, "LO", b"late") + coding.element(0x7FE00010, "OW", bytes(500)),
        coding.element(0x7FE00010, "OW", bytes(500)) + coding.element(tag, "LO", b"late"),
        coding.sequence(0x7FE00010, [b"", b"ab" * 99], vr="OB", items_defined=True)
        + coding.element(tag, "LO", b"late"),
    ]
    scanner = HeaderScanner(coding.transfer_syntax)
    for number in range(40):
        data = series(coding, number) + tails[number % 4]
        found = scan(scanner, data, [number * 31] if number % 3 else [])
        assert found == scan(HeaderScanner(coding.transfer_syntax), data)
        assert (b"late" in found) == bool(number % 4)


@each_coding
def test_an_instance_that_comes_in_pieces_is_found_beside_learned_ones(coding: Coding) -> None:
    scanner = HeaderScanner(coding.transfer_syntax)
    whole = scan(scanner, series(coding, 1))
    for cut in range(len(series(coding, 1))):
        assert scan(scanner, series(coding, 1), [cut]) == whole


def test_layouts_are_limited_and_the_one_in_use_stays() -> None:
    scanner = HeaderScanner(EXPLICIT)
    for length in range(0, 200, 2):
        data = series(LE, length, b"x" * length)
        assert scan(scanner, data).StudyDescription == b"x" * length
        assert scan(scanner, series(LE, 0, b"")).StudyDescription == b""
        assert len(scanner._heads) <= 8
    assert scan(scanner, series(LE, 77, b"")).InstanceNumber == b"00077 "
    assert scanner._walk is None


def test_known_tails_are_limited() -> None:
    scanner = HeaderScanner(EXPLICIT)
    tails = [
        LE.element(0x00280010 + number % 97, "LO", b"x" * 2 * (number % 31))
        + LE.element(0x00290010, "LO", b"")
        for number in range(3000)
    ]
    for tail in tails:
        assert scan(scanner, series(LE, 1) + tail + tails[0]).InstanceNumber == b"00001 "
    assert sum(map(len, scanner._tails._segments.values())) <= 260


def test_a_header_of_very_many_elements_is_not_learned() -> None:
    scanner = HeaderScanner(EXPLICIT)
    data = LE.element(0x00091010, "SH", b"") * 5000 + series(LE, 1)[16:]
    scan(scanner, data)
    assert scanner._heads == []


def test_a_deflated_data_set_that_is_cut_is_refused() -> None:
    whole = deflated(LE.element(0x00080018, "UI", b"1.2.3\0"))
    for size in range(len(whole)):
        with pytest.raises(HeaderError, match=r"ends inside|is empty"):
            scan(HeaderScanner(DEFLATED), whole[:size])


@pytest.mark.parametrize("data", [b"\xff" * 20, zlib.compress(b"a zlib stream is no raw deflate stream")])
def test_what_is_not_deflated_is_refused(data: bytes) -> None:
    with pytest.raises(HeaderError, match="not deflated"):
        scan(HeaderScanner(DEFLATED), data)


def test_wanted_elements_behind_pixel_data_are_found_in_a_deflated_data_set() -> None:
    data = series(LE, 1) + LE.element(0x7FE00010, "OW", bytes(1_000_000))
    data += LE.element(0x00100010, "PN", b"Doe^Jane")
    for cuts in ([], [40, 300, 900]):
        assert scan(HeaderScanner(DEFLATED), deflated(data), cuts).PatientName == b"Doe^Jane"


def test_a_deflate_bomb_is_refused_at_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflate, "MAX_INFLATED", 8 << 20)
    bomb = deflated(LE.element(0x00091010, "OB", b"", 0x7FFF_FFFE) + bytes(9 << 20))
    assert len(bomb) < 10_000
    with pytest.raises(HeaderError, match=r"^more than 8 MiB inflated$"):
        scan(HeaderScanner(DEFLATED), bomb)


@pytest.mark.parametrize("place", ["head", "tail", "sequence"])
def test_a_deflate_bomb_of_elements_is_refused_at_its_limit(place: str) -> None:
    elements = LE.element(0x00091010, "SH", b"") * (MAX_INFLATED_ELEMENTS + 1)
    if place == "tail":
        elements = LE.element(0x00280010, "US", b"\1\0") + elements
    elif place == "sequence":
        elements = LE.sequence(0x00091012, [elements])
    bomb = deflated(series(LE, 1)[:200] + elements)
    assert len(bomb) < 20_000
    with pytest.raises(HeaderError, match=r"^more than 500,000 elements inflated$"):
        scan(HeaderScanner(DEFLATED), bomb)


def test_a_deflate_stream_that_is_corrupt_behind_the_wanted_elements_is_refused() -> None:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    stream = compressor.compress(series(LE, 1)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    with pytest.raises(HeaderError, match="not deflated"):
        scan(HeaderScanner(DEFLATED), stream + b"\xff" * 20)


@settings(max_examples=examples(300))
@given(
    st.one_of(st.binary(max_size=400), st.tuples(st.integers(0, 10**6), st.binary(max_size=12))),
    st.sampled_from([IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED]),
    cuts,
)
def test_no_bytes_make_anything_but_values_or_a_header_error(
    noise: bytes | tuple[int, bytes], syntax: str, cuts: list[int]
) -> None:
    if isinstance(noise, bytes):
        data = noise
    else:  # a data set with a few bytes overwritten
        coding = Coding(implicit=syntax == IMPLICIT, big=syntax == BIG_ENDIAN)
        good = series(coding, 1)
        at = noise[0] % len(good)
        data = good[:at] + noise[1] + good[at + len(noise[1]) :]
        data = deflated(data) if syntax == DEFLATED else data
    scanner = HeaderScanner(syntax)
    outcomes = set()
    for split in ([], cuts, list(range(len(data)))):
        try:
            outcomes.add(scan(scanner, data, split))
        except HeaderError as error:
            outcomes.add(error.fault)
    (outcome,) = outcomes  # the same however it is split
    assert isinstance(outcome, RawValues) or len(outcome) <= 64
