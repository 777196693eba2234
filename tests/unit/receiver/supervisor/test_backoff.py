"""The waits before a child is replaced."""

import pytest

from lapidicom.receiver.supervisor.backoff import LONGEST_DELAY, STEADY_AFTER, Backoff


def test_delays_double_from_a_tenth_of_a_second_up_to_ten() -> None:
    backoff, delays = Backoff(), []
    for _ in range(10):
        backoff = backoff.after(lived=0.01)
        delays.append(backoff.delay)
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, LONGEST_DELAY, LONGEST_DELAY, LONGEST_DELAY]


@pytest.mark.parametrize(("lived", "delay"), [(STEADY_AFTER, 0.1), (STEADY_AFTER - 0.1, 10.0), (0.0, 10.0)])
def test_a_child_that_worked_for_a_while_starts_the_delays_anew(lived: float, delay: float) -> None:
    assert Backoff(LONGEST_DELAY).after(lived).delay == delay
