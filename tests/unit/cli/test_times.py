from datetime import UTC, datetime, timedelta

import pytest

from lapidicom.cli.times import parse_rate, parse_time, size, span


@pytest.mark.parametrize(("text", "rate"), [("50", 50.0), ("50/s", 50.0), ("0.1/s", 0.1), ("1e3", 1000.0)])
def test_what_is_a_rate(text: str, rate: float) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "fast", "0", "0.09", "-5/s", "inf", "nan", "5/m"])
def test_what_is_no_rate_is_told_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is no rate: give, say, 50 or 50/s"):
        parse_rate(text)


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("2026-11-24", datetime(2026, 11, 24, tzinfo=UTC)),
        ("2026-11-24T03:00Z", datetime(2026, 11, 24, 3, tzinfo=UTC)),
        ("99999999999w", datetime.min.replace(tzinfo=UTC)),
    ],
)
def test_a_time_is_an_iso_date(text: str, when: datetime) -> None:
    assert parse_time(text) == when


@pytest.mark.parametrize(
    ("text", "ago"),
    [("30m", timedelta(minutes=30)), ("2h", timedelta(hours=2)), ("3d", timedelta(days=3))],
)
def test_or_so_long_ago(text: str, ago: timedelta) -> None:
    assert abs(datetime.now(UTC) - ago - parse_time(text)) < timedelta(seconds=10)


@pytest.mark.parametrize("text", ["yesterday", "2h30m", ""])
def test_what_is_no_time_is_told_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is no time: give 30m"):
        parse_time(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h 0m"), (90_061, "1d 1h")],
)
def test_ages_have_two_units_at_most(seconds: int, text: str) -> None:
    assert span(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 << 40, "3.0 TiB")]
)
def test_a_size_is_told_with_its_prefix(number: int, text: str) -> None:
    assert size(number) == text
