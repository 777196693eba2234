"""When a loop that fails has to end."""

from lapidicom.receiver.failures import MOST, WITHIN, Failures


def test_many_failures_in_a_short_time_are_too_many() -> None:
    failures = Failures()
    assert [failures.add(float(now)) for now in range(MOST)] == [False] * (MOST - 1) + [True]


def test_a_failure_now_and_then_is_never_too_many() -> None:
    failures = Failures()
    assert not any(failures.add(number * WITHIN) for number in range(10 * MOST))
