import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapidicom.common.instance.age import age_in_days


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("030Y", 10957),
        ("020D", 20),
        ("2W", 14),
        ("5M", 152),
        ("003Y", 1096),
        ("000D", 0),
        ("025M", 761),
        (" 030Y ", 10957),
        ("999Y", 364875),
    ],
)
def test_an_age_is_a_rounded_number_of_days(text: str, days: int) -> None:
    assert age_in_days(text) == days


@pytest.mark.parametrize(
    "text",
    [
        "42",
        "",
        "Y",
        "030y",
        "30 Y",
        "-01Y",
        "+1Y",
        "1_0Y",
        "1.5Y",
        "٣Y",
        "030Y\\031Y",
        "030YY",
        "9" * 10 + "Y",
    ],
)
def test_an_age_that_cannot_be_read_is_none(text: str) -> None:
    assert age_in_days(text) is None


@given(st.text(max_size=20))
def test_no_text_raises(text: str) -> None:
    days = age_in_days(text)
    assert days is None or days >= 0
