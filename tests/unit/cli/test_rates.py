"""A rate is said as `50` or `50/s`."""

import pytest

from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.cli.rates import parse_rate


@pytest.mark.parametrize(("text", "rate"), [("50", 50.0), ("50/s", 50.0), ("0.1/s", 0.1), ("1e3", 1000.0)])
def test_what_is_a_rate(text: str, rate: float) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "fast", "0", "0.09", "-5/s", "inf", "nan", "5/m"])
def test_what_is_none_is_told_with_the_remedy(text: str) -> None:
    with pytest.raises(OperatorError, match="is no rate") as caught:
        parse_rate(text)
    assert caught.value.status is ExitStatus.UNUSABLE
    assert "50/s" in caught.value.line
