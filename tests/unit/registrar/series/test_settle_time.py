"""How long must a series be still, and why?"""

import pytest

from lapidicom.common.settings import SettingsError, load
from lapidicom.registrar.series.settle_time import SettleTime, settle_time
from lapidicom.registrar.series.settling import SeriesPatience
from lapidicom.registrar.settings import SeriesSection


def chosen(cache_seconds: float = 0.0, **environ: str) -> SettleTime:
    return settle_time(load(SeriesSection, environ), cache_seconds)


def test_on_a_local_volume_it_is_ten_seconds() -> None:
    assert (chosen().seconds, chosen().why.partition(":")[0]) == (10, "auto")


@pytest.mark.parametrize("age", [3.0, 60.0])
def test_on_a_network_it_is_more_than_twice_the_age_of_a_directory(age: float) -> None:
    assert chosen(age).seconds > 2 * age
    assert f"{age:g} s old" in chosen(age).why


def test_what_is_set_counts() -> None:
    assert (chosen(60, SERIES_SETTLE_SECONDS="5").seconds, chosen(SERIES_SETTLE_SECONDS="5").why) == (
        5,
        "SERIES_SETTLE_SECONDS",
    )


def test_calling_ae_titles_may_have_a_time_of_their_own() -> None:
    time = chosen(SERIES_SETTLE_SECONDS_BY_AET="CT1=120, MR 2 = 60", SERIES_INCOMPLETE_SECONDS="300")
    assert time.patience("CT1") == SeriesPatience(120, 300)
    assert time.patience("MR 2") == SeriesPatience(60, 300)
    assert time.patience("CT2") == SeriesPatience(10, 300)


@pytest.mark.parametrize("value", ["CT1", "=5", "CT1=soon", "CT1=0", "CT1=5,"])
def test_a_wrong_one_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="SERIES_SETTLE_SECONDS_BY_AET"):
        chosen(SERIES_SETTLE_SECONDS_BY_AET=value)
