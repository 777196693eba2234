"""When a loop that fails has to end, and what time it has seen."""

from lapidicom.receiver.loops import LONGEST_STEP, MOST, WITHIN, RecentFailures, RunningTime


def test_many_failures_in_a_short_time_are_too_many() -> None:
    failures = RecentFailures()
    assert [failures.add(float(now)) for now in range(MOST)] == [False] * (MOST - 1) + [True]


def test_a_failure_now_and_then_is_never_too_many() -> None:
    failures = RecentFailures()
    assert not any(failures.add(number * WITHIN) for number in range(10 * MOST))


def test_running_time_leaves_out_what_the_process_did_not_see() -> None:
    time = RunningTime(100.0)
    assert [time.look(now) for now in (101, 102.5, 4000, 4001)] == [1, 2.5, 2.5 + LONGEST_STEP, 5]
