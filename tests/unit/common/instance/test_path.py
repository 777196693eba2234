import posixpath
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lapidicom.common.instance.errors import PathError
from lapidicom.common.instance.path import (
    MAX_FILE,
    MAX_SERIES_FOLDER,
    file_name,
    file_name_of,
    pacs_name,
    sanitise,
    series_folder,
)
from lapidicom.common.instance.tags import InstanceTags
from tests.support.seeds import examples

SERIES_UID = "1.3.12.2.1107.5.2.19.45152.2013030808061520200285270.0.0.0"
BRAIN = InstanceTags(
    SOPInstanceUID="1.3.12.2.1107.5.2.19.45152.2013030808105959806985847",
    StudyDate="20130308",
    AccessionNumber="98edede8b2",
    StudyDescription="MR-Brain w/o Contrast",
    SeriesDescription="SAG MPRAGE 220 FOV",
    PatientName="anonymized",
    PatientID="1449c1d",
    PatientBirthDate="20090701",
    StudyInstanceUID="1.2",
    SeriesInstanceUID=SERIES_UID,
    SeriesNumber="5",
    InstanceNumber="96",
)


def test_the_example_of_oxidicom_has_the_same_path() -> None:
    assert f"{series_folder('OXITESTORTHANC', BRAIN)}/{file_name(BRAIN)}" == (
        "SERVICES/PACS/OXITESTORTHANC/1449c1d-anonymized-20090701/MR-Brain_w_o_Contrast-98edede8b2-20130308/"
        "00005-SAG_MPRAGE_220_FOV-a27cf06/0096-1.3.12.2.1107.5.2.19.45152.2013030808105959806985847.dcm"
    )


@pytest.mark.parametrize(
    ("value", "sane"),
    [
        ("MR-Brain w/o Contrast", "MR-Brain_w_o_Contrast"),
        ("Doe^John=x", "Doe_John_x"),
        ("  padded \0", "padded"),
        ("nul\0in\0side", "nulinside"),
        ("a  \t b", "a_b"),
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("Müller^Jörg", "M_ller_J_rg"),
        ("王^小東", "_"),
        ("1_0", "1_0"),
        ("a.b-C9", "a.b-C9"),
        ("..", ".."),
        ("\0 ", ""),
        ("", ""),
    ],
)
def test_a_value_is_sanitised(value: str, sane: str) -> None:
    assert sanitise(value) == sane


@pytest.mark.parametrize(
    ("changes", "patient"),
    [
        ({}, "1449c1d-anonymized-20090701"),
        ({"PatientName": None}, "1449c1d--20090701"),
        ({"PatientBirthDate": None}, "1449c1d-anonymized-"),
        ({"PatientName": "Doe^John"}, "1449c1d-Doe_John-20090701"),
        ({"PatientID": ".."}, "..-anonymized-20090701"),
        ({"PatientID": ".", "PatientName": None, "PatientBirthDate": None}, ".--"),
    ],
)
def test_the_patient_folder(changes: dict[str, str | None], patient: str) -> None:
    assert series_folder("A", BRAIN._replace(**changes)).split("/")[3] == patient


@pytest.mark.parametrize(
    ("changes", "study"),
    [
        ({"StudyDescription": None}, "StudyDescription-98edede8b2-20130308"),
        ({"AccessionNumber": None}, "MR-Brain_w_o_Contrast-AccessionNumber-20130308"),
        ({"StudyDate": "2013-03-08"}, "MR-Brain_w_o_Contrast-98edede8b2-2013-03-08"),
    ],
)
def test_the_study_folder(changes: dict[str, str | None], study: str) -> None:
    assert series_folder("A", BRAIN._replace(**changes)).split("/")[4] == study


@pytest.mark.parametrize(
    ("changes", "series"),
    [
        ({"SeriesNumber": None, "SeriesDescription": None}, "SeriesNumber-SeriesDescription-a27cf06"),
        ({"SeriesNumber": "123456"}, "123456-SAG_MPRAGE_220_FOV-a27cf06"),
        ({"SeriesNumber": "a/b"}, "00a_b-SAG_MPRAGE_220_FOV-a27cf06"),
        ({"SeriesNumber": ".."}, "000..-SAG_MPRAGE_220_FOV-a27cf06"),
    ],
)
def test_the_last_component_of_the_series_folder(changes: dict[str, str | None], series: str) -> None:
    assert series_folder("A", BRAIN._replace(**changes)).split("/")[5] == series


@pytest.mark.parametrize(
    ("number", "five"),
    [
        ("+7", "00007"),
        ("007", "00007"),
        (" 12 ", "00012"),
        ("0", "00000"),
        ("000", "00000"),
        ("+0000000000000012", "00012"),
        ("4294967295", "4294967295"),
        ("4294967296", "4294967296"),
        ("04294967296", "04294967296"),
        ("-1", "000-1"),
        ("1_0", "001_0"),
        ("abc", "00abc"),
        ("٣", "0000_"),
        ("++7", "000_7"),
        ("+", "0000_"),
        ("1.5", "001.5"),
        ("7\0", "00007"),
    ],
)
def test_a_series_number_is_printed_as_oxidicom_does(number: str, five: str) -> None:
    folder = series_folder("A", BRAIN._replace(SeriesNumber=number, SeriesDescription="x"))
    assert folder.split("/")[5] == f"{five}-x-a27cf06"


@pytest.mark.parametrize(
    ("number", "name"),
    [
        ("96", "0096-1.2.3.dcm"),
        ("+7", "0007-1.2.3.dcm"),
        (None, "InstanceNumber-1.2.3.dcm"),
        ("-1", "00-1-1.2.3.dcm"),
        ("123456", "123456-1.2.3.dcm"),
        ("4294967296", "4294967296-1.2.3.dcm"),
        ("../../../evil", ".._.._.._evi-1.2.3.dcm"),
        ("12345678901234", "123456789012-1.2.3.dcm"),
        ("x" * 5000, "xxxxxxxxxxxx-1.2.3.dcm"),
    ],
)
def test_the_name_of_a_file(number: str | None, name: str) -> None:
    assert file_name_of(number, "1.2.3") == name
    assert file_name(InstanceTags(InstanceNumber=number, SOPInstanceUID="1.2.3")) == name


@pytest.mark.parametrize("uid", ["", "../1", "1/2", "1" * 65, "1.2\0", "a"])
def test_no_file_has_a_name_without_a_uid(uid: str) -> None:
    with pytest.raises(PathError, match=r"^SOPInstanceUID \(0008,0018\) is not a UID$"):
        file_name_of("1", uid)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("OXITESTORTHANC", "OXITESTORTHANC"),
        ("  PACS \0\0", "PACS"),
        ("MY PACS/1", "MY_PACS_1"),
        ("ÄPACS", "_PACS"),
        ("\x01\x02", "_"),
        ("..a", "..a"),
        ("UNKNOWN", "UNKNOWN"),
    ],
)
def test_a_pacs_is_named_by_its_sanitised_title(title: str, name: str) -> None:
    assert pacs_name(title) == name


@pytest.mark.parametrize("title", ["", " ", "\0", ".", "..", "...", " .. \0", "A" * 17])
def test_a_title_that_can_name_no_folder_is_refused(title: str) -> None:
    with pytest.raises(PathError):
        pacs_name(title)


@pytest.mark.parametrize("pacs", ["", ".", "..", "a/b", "/", "A" * 17 + "x" * 400])
def test_a_pacs_name_that_did_not_come_from_pacs_name_makes_no_path(pacs: str) -> None:
    with pytest.raises(PathError):
        series_folder(pacs, BRAIN)


def test_folders_at_the_limit_are_kept_and_beyond_it_shortened_each_by_itself() -> None:
    fixed = len("1449c1d--20090701")
    fits = BRAIN._replace(PatientName="n" * (180 - fixed))
    assert series_folder("A", fits).split("/")[3] == f"1449c1d-{'n' * (180 - fixed)}-20090701"
    longer = BRAIN._replace(PatientName="n" * (181 - fixed))
    patient, study, series = series_folder("A", longer).split("/")[3:]
    assert re.fullmatch(r"1449c1d-n{162}~[0-9a-f]{9}", patient)
    assert [study, series] == series_folder("A", BRAIN).split("/")[4:]


@pytest.mark.parametrize(
    ("keyword", "component", "limit"),
    [("PatientName", 3, 180), ("StudyDescription", 4, 100), ("SeriesDescription", 5, 86)],
)
def test_values_that_differ_only_where_they_are_cut_make_different_folders(
    keyword: str, component: int, limit: int
) -> None:
    one, other = (
        series_folder("A", BRAIN._replace(**{keyword: "x" * 300 + end})).split("/")[component] for end in "ab"
    )
    assert one != other
    assert one[: limit - 10] == other[: limit - 10]
    assert len(one) == len(other) == limit
    assert one[limit - 10] == "~"


values = st.one_of(
    st.none(),
    st.text(max_size=600),
    st.text(alphabet="./\\~ \0\n-_^=Aa0٣", max_size=80),
    st.sampled_from([".", "..", "/", "../..", "\0", " ", "é" * 300, "x" * 600]),
)
uids = st.text(alphabet="0123456789.", min_size=1, max_size=64)


@st.composite
def hostile_tags(draw: st.DrawFn) -> InstanceTags:
    """What `check` lets through: anything but in the UIDs and the date; a PatientID is never blank."""
    return InstanceTags(
        SOPInstanceUID=draw(uids),
        StudyDate=draw(st.sampled_from(["20130308", "2013-03-08"])),
        AccessionNumber=draw(values),
        StudyDescription=draw(values),
        SeriesDescription=draw(values),
        PatientName=draw(values),
        PatientID=draw(values.filter(lambda value: bool(value and value.replace("\0", "").strip()))),
        PatientBirthDate=draw(values),
        StudyInstanceUID=draw(uids),
        SeriesInstanceUID=draw(uids),
        SeriesNumber=draw(values),
        InstanceNumber=draw(values),
    )


@settings(max_examples=examples(300))
@given(st.text(max_size=16), hostile_tags())
@example("A" * 16, InstanceTags("", "", "1" * 64, "2013-03-08", *["x" * 999] * 10, "1", "2", "x" * 99, None))
def test_no_values_lead_outside_the_series_folder_or_over_a_limit(title: str, tags: InstanceTags) -> None:
    try:
        pacs = pacs_name(title)
    except PathError:
        return
    folder = series_folder(pacs, tags)
    path = f"{folder}/{file_name(tags)}"
    assert posixpath.normpath(path) == path
    assert re.fullmatch(r"[A-Za-z0-9._~/-]+", path)
    assert path.startswith(f"SERVICES/PACS/{pacs}/")
    parts = path.split("/")
    assert len(parts) == 7
    assert not {"", ".", ".."} & set(parts)
    assert [len(part) <= limit for part, limit in zip(parts[2:], (16, 180, 100, 86, 83), strict=True)] == [
        True
    ] * 5
    assert len(folder) <= MAX_SERIES_FOLDER
    assert len(path) <= MAX_FILE
    assert max(len(part) for part in parts) <= 255


@settings(max_examples=examples(150))
@given(hostile_tags(), values, values, uids)
def test_one_series_is_never_in_two_folders_for_what_only_its_instances_differ_in(
    tags: InstanceTags, number: str | None, accession: str | None, uid: str
) -> None:
    other = tags._replace(InstanceNumber=number, SOPInstanceUID=uid)
    assert series_folder("A", tags) == series_folder("A", other)
    longer = tags._replace(AccessionNumber=accession)  # another study folder leaves the other two alone
    assert series_folder("A", tags).split("/")[3::2] == series_folder("A", longer).split("/")[3::2]


def test_the_longest_values_reach_the_limits_exactly() -> None:
    long = InstanceTags(
        SOPInstanceUID="1" * 64,
        StudyDate="20130308",
        AccessionNumber="a" * 600,
        StudyDescription="b" * 600,
        SeriesDescription="c" * 600,
        PatientName="d" * 600,
        PatientID="e" * 600,
        PatientBirthDate="f" * 600,
        StudyInstanceUID="1",
        SeriesInstanceUID="2",
        SeriesNumber="9" * 600,
    )
    folder = series_folder("A" * 16, long)
    assert len(folder) == MAX_SERIES_FOLDER == 399
    assert len(f"{folder}/{file_name(long)}") == MAX_FILE == 483
