"""Whose fault it is: one message's, one study's, or the system's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapidicom.registrar.consumer.breaker import NEVER_COUNTED, Breaker, Burial, Doomed

WINDOW = 60.0


def doomed(
    number: int, *, patient: str = "", reason: str = "file-missing", since: float | None = None
) -> Doomed:
    patient = patient or f"patient-{number}"
    return Doomed(f"life.{number}", reason, patient, f"series-of-{patient}", since)


def opened(breaker: Breaker, now: float = 0.0) -> Breaker:
    for number in range(10):
        breaker.judge(doomed(number), now)
    assert breaker.open_reason == "file-missing"
    return breaker


def test_ten_messages_of_three_patients_open_it_and_none_of_them_is_buried() -> None:
    breaker = Breaker()
    fates = [
        breaker.judge(doomed(number, patient=f"patient-{number % 3}"), float(number)) for number in range(10)
    ]
    assert set(fates) == {Burial.PARK}
    assert breaker.open_reason == "file-missing"


def test_nine_do_not_open_it() -> None:
    breaker = Breaker()
    for number in range(9):
        breaker.judge(doomed(number), 0.0)
    assert breaker.open_reason is None


def test_one_message_that_fails_again_and_again_counts_once() -> None:
    breaker = Breaker()
    for patient in range(3):
        for again in range(10):
            breaker.judge(doomed(patient), float(again))
    assert breaker.open_reason is None


def test_reasons_are_counted_apart() -> None:
    breaker = Breaker()
    for number in range(18):
        breaker.judge(doomed(number, reason=f"refused: {number % 2}"), 0.0)
    assert breaker.open_reason is None


def test_one_study_of_300_instances_is_parked_once_and_then_buried() -> None:
    breaker = Breaker(window=WINDOW)
    study = [doomed(number, patient="one") for number in range(300)]
    assert {breaker.judge(one, 1.0) for one in study} == {Burial.PARK}
    back = [doomed(number, patient="one", since=1.0) for number in range(300)]
    assert {breaker.judge(one, 1.0 + WINDOW) for one in back} == {Burial.DEAD_LETTER}
    assert breaker.open_reason is None


def test_a_success_of_others_makes_it_the_messages_fault() -> None:
    breaker = Breaker()
    assert breaker.judge(doomed(1), 1.0) is Burial.PARK
    breaker.succeeded(2.0)
    assert breaker.judge(doomed(1, since=1.0), 3.0) is Burial.DEAD_LETTER


def test_a_success_before_the_first_failure_says_nothing() -> None:
    breaker = Breaker()
    breaker.succeeded(1.0)
    assert breaker.judge(doomed(1), 2.0) is Burial.PARK
    assert breaker.judge(doomed(1, since=2.0), 3.0) is Burial.PARK


def test_while_it_is_open_everything_is_parked_whatever_the_reason() -> None:
    breaker = opened(Breaker())
    assert breaker.judge(doomed(99, reason="refused: StudyDate", since=0.0), 1000.0) is Burial.PARK


def test_a_success_closes_it_and_what_failed_before_is_buried() -> None:
    breaker = opened(Breaker())
    breaker.succeeded(5.0)
    assert breaker.open_reason is None
    assert breaker.judge(doomed(1, since=0.0), 6.0) is Burial.DEAD_LETTER


def test_few_messages_of_three_patients_that_last_open_it_too() -> None:
    breaker = Breaker(window=WINDOW)
    for number in range(3):
        breaker.judge(doomed(number), 0.0)
    assert breaker.judge(doomed(0, since=0.0), WINDOW) is Burial.PARK
    assert breaker.open_reason == "file-missing"


@pytest.mark.parametrize("reason", sorted(NEVER_COUNTED))
def test_what_concerns_one_series_in_cube_is_buried_at_once(reason: str) -> None:
    breaker = Breaker()
    fates = {breaker.judge(doomed(number, reason=reason), 0.0) for number in range(20)}
    assert fates == {Burial.DEAD_LETTER}
    assert breaker.open_reason is None


def test_it_asks_for_a_registration_known_to_be_good_when_it_is_open_or_a_suspicion_lasts() -> None:
    breaker = Breaker(window=WINDOW)
    assert not breaker.asks_for_known_good(1000.0)
    breaker.judge(doomed(1), 0.0)
    assert not breaker.asks_for_known_good(WINDOW - 1)
    assert breaker.asks_for_known_good(WINDOW)
    assert opened(Breaker()).asks_for_known_good(0.0)


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abc"), st.booleans()), max_size=200))
def test_without_any_success_nothing_of_many_patients_is_buried(events: list[tuple[int, str, bool]]) -> None:
    """The wrong volume: whatever the order and the times, three patients make no dead letter."""
    breaker = Breaker(window=WINDOW)
    for number in range(3):
        breaker.judge(doomed(number, reason="a"), 0.0)
    first: dict[tuple[int, str], float] = {}
    for step, (number, _, is_late) in enumerate(events):
        now = step * (WINDOW if is_late else 0.1)
        since = first.setdefault((number, "a"), now)
        assert breaker.judge(doomed(number, reason="a", since=min(since, now)), now) is Burial.PARK


def test_memory_is_bounded() -> None:
    breaker = Breaker()
    for number in range(1000):
        breaker.judge(doomed(number, patient="one", reason=f"refused: {number}"), 0.0)
    assert len(breaker._suspicions) <= 64
