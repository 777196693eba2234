"""Places shared out over processes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapidicom.receiver.supervisor.shares import shares


@pytest.mark.parametrize(
    ("places", "processes", "expected"),
    [(16, 1, (16,)), (16, 2, (8, 8)), (16, 3, (6, 5, 5)), (3, 3, (1, 1, 1)), (5, 4, (2, 1, 1, 1))],
)
def test_shares_of_some_settings(places: int, processes: int, expected: tuple[int, ...]) -> None:
    assert shares(places, processes) == expected


@given(st.integers(1, 1024), st.integers(1, 64))
def test_no_place_is_lost_and_no_process_has_two_more_than_another(places: int, processes: int) -> None:
    shared = shares(places, processes)
    assert len(shared) == processes
    assert sum(shared) == places
    assert max(shared) - min(shared) <= 1
