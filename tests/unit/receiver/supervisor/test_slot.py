"""When a child is replaced: it ended, or gave no sign of life while the supervisor was there to hear it."""

import pytest
from pydantic import ValidationError

from lapidicom.receiver.loops import LONGEST_STEP
from lapidicom.receiver.settings import ReceiverSettings
from lapidicom.receiver.supervisor.slot import (
    LONGEST_DELAY,
    START,
    STEADY_AFTER,
    ReplacementDelay,
    Watchdog,
)


def test_delays_double_from_a_tenth_of_a_second_up_to_ten() -> None:
    replacement, delays = ReplacementDelay(), []
    for _ in range(10):
        replacement = replacement.after(lived=0.01)
        delays.append(replacement.delay)
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, LONGEST_DELAY, LONGEST_DELAY, LONGEST_DELAY]


@pytest.mark.parametrize(("lived", "delay"), [(STEADY_AFTER, 0.1), (STEADY_AFTER - 0.1, 10.0), (0.0, 10.0)])
def test_a_child_that_worked_for_a_while_starts_the_delays_anew(lived: float, delay: float) -> None:
    assert ReplacementDelay(LONGEST_DELAY).after(lived).delay == delay


REQUIRED = {"AMQP_URL": "amqp://guest:guest@127.0.0.1:1/", "CHRIS_FILES_ROOT": "/"}


def looks(watchdog: Watchdog, times: list[float], *, reported_at: float, reported: bool = True) -> list[bool]:
    return [watchdog.is_due(now, reported_at=reported_at, has_reported=reported) for now in times]


def test_a_child_is_due_after_the_time_out_without_a_report() -> None:
    watchdog = Watchdog(3, now=0)
    assert looks(watchdog, [1, 2, 3, 4], reported_at=0.5) == [False, False, False, True]


def test_a_report_begins_the_count_anew() -> None:
    watchdog = Watchdog(3, now=0)
    assert looks(watchdog, [1, 2, 3], reported_at=0.5) == [False] * 3
    assert looks(watchdog, [4, 5, 6, 7], reported_at=3.5) == [False, False, False, True]


def test_a_starting_child_has_longer() -> None:
    watchdog = Watchdog(3, now=0)
    times = [float(now) for now in range(1, int(START) + 1)]
    assert looks(watchdog, times, reported_at=0, reported=False) == [False] * (len(times) - 1) + [True]


def test_a_supervisor_that_was_stopped_looks_again_before_it_kills() -> None:
    watchdog = Watchdog(3, now=0)
    assert looks(watchdog, [1, 1000], reported_at=0.9) == [False, False]
    assert watchdog.silent == LONGEST_STEP
    assert looks(watchdog, [1001], reported_at=1000.5) == [False]
    assert watchdog.silent == 0


def test_the_time_out_leaves_room_for_a_report_each_second() -> None:
    assert ReceiverSettings.model_validate(REQUIRED).child_timeout == 30
    with pytest.raises(ValidationError, match="CHRIS_CHILD_TIMEOUT"):
        ReceiverSettings.model_validate({**REQUIRED, "CHRIS_CHILD_TIMEOUT": "2"})
