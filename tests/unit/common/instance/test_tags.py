import pickle

import pytest
from pydicom.datadict import keyword_for_tag

from lapidicom.common.instance.errors import HeaderError
from lapidicom.common.instance.tags import (
    REQUIRED,
    WANTED,
    InstanceTags,
    RawValues,
    check,
    is_calendar_day,
    tag_name,
)

GOOD = InstanceTags(
    SOPClassUID="1.2.840.10008.5.1.4.1.1.4",
    SOPInstanceUID="1.2.3",
    StudyDate="20130308",
    PatientID="1449c1d",
    StudyInstanceUID="1.2",
    SeriesInstanceUID="1.2.1",
)


def test_the_wanted_tags_are_in_ascending_order_and_bear_the_keywords_of_the_standard() -> None:
    assert list(WANTED) == sorted(WANTED)
    assert RawValues._fields == InstanceTags._fields == tuple(keyword_for_tag(tag) for tag in WANTED)
    assert set(REQUIRED) < set(InstanceTags._fields)


def test_an_instance_with_all_that_is_required_passes() -> None:
    check(GOOD)


@pytest.mark.parametrize(
    ("keyword", "number"),
    [
        ("StudyInstanceUID", "(0020,000d)"),
        ("SeriesInstanceUID", "(0020,000e)"),
        ("SOPInstanceUID", "(0008,0018)"),
        ("PatientID", "(0010,0020)"),
        ("StudyDate", "(0008,0020)"),
    ],
)
def test_each_required_tag_is_missed_by_name_and_number(keyword: str, number: str) -> None:
    with pytest.raises(HeaderError) as caught:
        check(GOOD._replace(**{keyword: None}))
    assert caught.value.fault == str(caught.value) == f"{keyword} {number} is missing"
    assert caught.value.tag == WANTED[InstanceTags._fields.index(keyword)]


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
@pytest.mark.parametrize("uid", ["1.2.a", "1.2 .3", "../1", "1.2\n", "1" * 65, "٣.٤", "1,2"])
def test_what_is_no_uid_is_refused_without_being_quoted(keyword: str, uid: str) -> None:
    with pytest.raises(HeaderError) as caught:
        check(GOOD._replace(**{keyword: uid}))
    assert caught.value.fault.startswith(f"{keyword} (")
    assert caught.value.fault.endswith(") is not a UID")
    assert len(caught.value.fault) <= 64


@pytest.mark.parametrize("uid", ["1", "1.2", "1" * 64, "1..2", "0.01"])
def test_a_uid_of_digits_and_dots_passes_even_where_the_standard_is_stricter(uid: str) -> None:
    check(GOOD._replace(SOPInstanceUID=uid))


@pytest.mark.parametrize("day", ["20130308", "2013-03-08", "20240229", "00010101", "99991231"])
def test_a_calendar_day_is_one_in_either_form(day: str) -> None:
    assert is_calendar_day(day)
    check(GOOD._replace(StudyDate=day))


@pytest.mark.parametrize(
    "day",
    [
        *("20249999", "20230229", "20130008", "20130300", "00000101", "2013030", "201303081", "2013.03.08"),
        *("2013-0308", "201303-08", "2013-W10-5", "", "20130308\n", "٣٣٣٣٠٣٠٨", "+2013030", "2013_308"),
    ],
)
def test_what_is_no_calendar_day_is_refused(day: str) -> None:
    assert not is_calendar_day(day)
    with pytest.raises(HeaderError, match=r"^StudyDate \(0008,0020\) is not a calendar day$"):
        check(GOOD._replace(StudyDate=day))


def test_the_sop_class_is_left_to_the_comparison_with_the_command() -> None:
    check(GOOD._replace(SOPClassUID=None))


def test_a_tag_that_is_not_wanted_is_named_by_its_number() -> None:
    assert tag_name(0x0009_10FE) == "(0009,10fe)"


def test_the_values_of_a_series_are_all_but_those_of_the_instance() -> None:
    one = RawValues(*(b"%d" % n for n in range(len(WANTED))))
    assert one.but_instance() == one._replace(SOPInstanceUID=b"x", InstanceNumber=b"y").but_instance()
    for keyword in set(RawValues._fields) - {"SOPInstanceUID", "InstanceNumber"}:
        assert one.but_instance() != one._replace(**{keyword: b"x"}).but_instance()


def test_a_header_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(HeaderError("StudyDate (0008,0020) is missing", 0x0008_0020)))
    assert (error.fault, error.tag) == ("StudyDate (0008,0020) is missing", 0x0008_0020)
