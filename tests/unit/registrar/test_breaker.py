"""Both sides: a system that fails is never a message's fault, and a message that fails never the system's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapidicom.registrar.consumer.breaker import Blame, Breaker, Failure

REFUSED = "refused: StudyDate"


def failure(number: int, reason: str = REFUSED, patients: int = 3, series: int = 3) -> Failure:
    patient = number % patients
    return Failure(reason, f"{number}.dcm", ("PACS", f"patient {patient}"), f"1.2.{number % series}")


def fail(breaker: Breaker, numbers: range, now: float = 0.0, **shape: int) -> list[Blame]:
    return [breaker.failed(failure(number, **shape), now, None) for number in numbers]


def test_ten_messages_of_three_patients_and_three_series_are_the_systems_fault() -> None:
    breaker = Breaker()
    assert fail(breaker, range(9)) == [Blame.UNKNOWN] * 9
    assert breaker.open_for is None
    assert fail(breaker, range(9, 12)) == [Blame.SYSTEM] * 3
    assert breaker.open_for == REFUSED


@pytest.mark.parametrize("shape", [{"patients": 2}, {"series": 2}, {"patients": 1, "series": 1}])
def test_what_is_of_few_patients_or_series_never_opens_it(shape: dict[str, int]) -> None:
    breaker = Breaker()
    assert Blame.SYSTEM not in fail(breaker, range(300), **shape)
    assert breaker.open_for is None


def test_one_message_that_fails_again_and_again_counts_once() -> None:
    breaker = Breaker()
    fail(breaker, range(9))
    assert [breaker.failed(failure(8), 1.0, 0.0) for _ in range(20)] == [Blame.UNKNOWN] * 20


def test_different_reasons_are_counted_apart() -> None:
    breaker = Breaker()
    for number in range(9):
        breaker.failed(failure(number), 0.0, None)
        breaker.failed(failure(number, "file-missing"), 0.0, None)
    assert breaker.open_for is None


def test_after_a_minute_without_a_third_patient_it_is_the_messages_fault() -> None:
    breaker = Breaker(window=60)
    assert set(fail(breaker, range(300), now=0.0, patients=2)) == {Blame.UNKNOWN}
    assert set(fail(breaker, range(300), now=59.9, patients=2)) == {Blame.UNKNOWN}
    assert set(fail(breaker, range(300), now=60.0, patients=2)) == {Blame.MESSAGE}


def test_a_third_patient_keeps_them_waiting_until_it_opens_or_something_succeeds() -> None:
    breaker = Breaker(window=60)
    fail(breaker, range(3), now=0.0)
    assert fail(breaker, range(3), now=3600.0) == [Blame.UNKNOWN] * 3
    breaker.succeeded(3601.0)
    assert breaker.failed(failure(1), 3700.0, waiting_since=0.0) is Blame.MESSAGE


def test_fewer_than_ten_messages_of_three_patients_wait_for_an_hour() -> None:
    breaker = Breaker(window=60, few_seconds=3600)
    assert fail(breaker, range(9), now=0.0) == [Blame.UNKNOWN] * 9
    for now in (30.0, 61.0, 3599.9):
        assert [breaker.failed(failure(number), now, 0.0) for number in range(9)] == [Blame.UNKNOWN] * 9
    assert [breaker.failed(failure(number), 3600.0, 0.0) for number in range(9)] == [Blame.MESSAGE] * 9


def test_each_of_few_messages_waits_for_an_hour_of_its_own() -> None:
    breaker = Breaker(window=60, few_seconds=3600)
    fail(breaker, range(8), now=0.0)
    assert breaker.failed(failure(8), 4000.0, None) is Blame.UNKNOWN
    assert breaker.failed(failure(8), 7599.9, 4000.0) is Blame.UNKNOWN
    assert breaker.failed(failure(8), 7600.0, 4000.0) is Blame.MESSAGE


def test_a_registrar_that_has_just_started_does_not_blame_what_waited_for_the_system_before() -> None:
    breaker = Breaker(window=60, few_seconds=3600)
    blames = [breaker.failed(failure(number), 90000.0, waiting_since=0.0) for number in range(12)]
    assert blames == [Blame.UNKNOWN] * 9 + [Blame.SYSTEM] * 3


def test_while_it_is_open_no_time_blames_a_message() -> None:
    breaker = Breaker(window=60, few_seconds=3600)
    fail(breaker, range(10), now=0.0)
    assert [breaker.failed(failure(number), 1e6, 0.0) for number in range(10)] == [Blame.SYSTEM] * 10


def test_it_opens_although_earlier_ones_have_become_dead_letters() -> None:
    breaker = Breaker(window=60)
    fail(breaker, range(8), now=0.0, patients=1)
    assert fail(breaker, range(8), now=61.0, patients=1)[-1] is Blame.MESSAGE
    assert fail(breaker, range(8, 12), now=7200.0)[-1] is Blame.SYSTEM


def test_a_success_closes_it_and_those_that_waited_are_at_fault_themselves() -> None:
    breaker = Breaker()
    fail(breaker, range(12), now=0.0)
    assert (
        breaker.failed(failure(1, "no_answer"), 10.0, None) is Blame.SYSTEM
    )  # whatever fails while it is open
    breaker.succeeded(20.0)
    assert breaker.open_for is None
    assert breaker.failed(failure(1), 30.0, waiting_since=0.0) is Blame.MESSAGE
    assert breaker.failed(failure(50), 30.0, waiting_since=None) is Blame.UNKNOWN


def test_a_success_that_may_be_older_by_another_registrars_clock_proves_nothing() -> None:
    breaker = Breaker(clock_seconds=5)
    breaker.succeeded(104.0)
    assert breaker.failed(failure(1), 130.0, waiting_since=100.0) is Blame.UNKNOWN
    breaker.succeeded(105.1)
    assert breaker.failed(failure(1), 130.0, waiting_since=100.0) is Blame.MESSAGE


@pytest.mark.parametrize("reason", ["late-instances", "other-folder", "half-registered"])
def test_what_tells_of_one_series_never_counts(reason: str) -> None:
    breaker = Breaker()
    blames = [breaker.failed(failure(number, reason), 0.0, None) for number in range(50)]
    assert set(blames) == {Blame.MESSAGE}
    assert breaker.open_for is None


@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=120))
def test_without_a_success_nothing_of_three_patients_and_series_is_ever_a_messages_fault(
    events: list[tuple[int, bool]],
) -> None:
    """Whatever comes in which order, within the window: a success alone, or the window, gives them blame."""
    breaker = Breaker(window=60)
    for number, succeeds in events:
        if succeeds:
            breaker.succeeded(1.0)
            assert breaker.open_for is None
        else:
            assert breaker.failed(failure(number), 30.0, None) is not Blame.MESSAGE
