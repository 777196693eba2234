"""The pace of a replay."""

import pytest

from lapidicom.cli.replay.pace import Pace


@pytest.mark.parametrize(
    ("rate", "in_flight"), [(None, 200), (1000.0, 200), (200.0, 200), (50.5, 50), (1.0, 1), (0.1, 1)]
)
def test_a_batch_is_no_larger_than_what_a_second_allows(rate: float | None, in_flight: int) -> None:
    assert Pace(rate).in_flight == in_flight


def test_a_rate_says_when_the_next_batch_is_due() -> None:
    assert Pace(50.0).due(100) == 2.0
    assert Pace(None).due(10_000) == 0.0


def test_it_stops_at_ten_new_dead_letters_unless_it_shall_keep_going() -> None:
    assert [Pace().stops_at(new) for new in (0, 9, 10, 11)] == [False, False, True, True]
    assert not Pace(stop_after=None).stops_at(10_000)
