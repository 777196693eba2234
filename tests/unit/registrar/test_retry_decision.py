from dataclasses import replace

import pytest

from lapidicom.common.topology import topology
from lapidicom.registrar.consumer.headers import History, Waiting
from lapidicom.registrar.consumer.retry import GiveUp, NextStep, Patience, TryAgain, Wait, next_step
from lapidicom.registrar.cube.outcomes import Outcome, Verdict

DELAYS = (5, 30, 120, 600)
NOW = 1_000_000.0
PATIENCE = Patience(retries=3, delays=DELAYS, delay_for=topology(DELAYS, 20).delay_for)
HOUR = 3600.0


def after(verdict: Verdict, history: History, patience: Patience = PATIENCE, others: float = 0.0) -> NextStep:
    """The step, if others have succeeded at that time."""
    return next_step(verdict, history, patience, NOW, lambda then: others > then)


@pytest.mark.parametrize(
    ("spent", "retries", "delays", "retry_after", "expected"),
    [
        (0, 0, DELAYS, None, 1),
        (0, 1, DELAYS, None, TryAgain(1, 5)),
        (1, 1, DELAYS, None, 2),
        (0, 3, DELAYS, None, TryAgain(1, 5)),
        (1, 3, DELAYS, None, TryAgain(2, 30)),
        (2, 3, DELAYS, None, TryAgain(3, 120)),
        (3, 3, DELAYS, None, 4),
        (4, 3, DELAYS, None, 5),
        (99, 3, DELAYS, None, 100),
        (3, 9, DELAYS, None, TryAgain(4, 600)),
        (7, 9, DELAYS, None, TryAgain(8, 600)),
        (2, 9, (7,), None, TryAgain(3, 7)),
        (0, 9, (60, 5), None, TryAgain(1, 60)),
        (1, 9, (60, 5), None, TryAgain(2, 5)),
        (0, 3, DELAYS, 0.0, TryAgain(1, 5)),
        (0, 3, DELAYS, 5.0, TryAgain(1, 5)),
        (0, 3, DELAYS, 5.1, TryAgain(1, 20)),
        (0, 3, DELAYS, 21.0, TryAgain(1, 30)),
        (0, 3, DELAYS, 1e9, TryAgain(1, 600)),
        (3, 3, DELAYS, 100.0, 4),
    ],
)
def test_a_failed_attempt_is_followed_by_its_retry_or_the_end(
    spent: int,
    retries: int,
    delays: tuple[int, ...],
    retry_after: float | None,
    expected: TryAgain | int,
) -> None:
    """A number means: given up after so many attempts."""
    verdict = Verdict(Outcome.RETRY, "http_500", 500, retry_after=retry_after)
    step = after(verdict, History(spent), replace(PATIENCE, retries=retries, delays=delays))
    if isinstance(expected, int):
        expected = GiveUp(expected, "http_500", Waiting("http_500", NOW))  # type: ignore[assignment]
    assert step == expected


def test_a_refusal_by_cube_ends_the_message() -> None:
    assert after(Verdict(Outcome.PERMANENT, "refused: StudyDate"), History(1)) == GiveUp(
        2, "refused: StudyDate", Waiting("refused: StudyDate", NOW)
    )


@pytest.mark.parametrize("waited", [0.0, HOUR - 1, HOUR * 100])
def test_what_is_held_up_waits_without_limit(waited: float) -> None:
    waiting = Waiting("volume_not_visible", NOW - waited)
    verdict = Verdict(Outcome.HELD_UP, "volume_not_visible")
    assert after(verdict, History(waiting=waiting)) == Wait(waiting)


def test_what_is_not_visible_waits_for_an_hour() -> None:
    verdict = Verdict(Outcome.NOT_YET_VISIBLE, "not_yet_visible")
    assert after(verdict, History(3)) == Wait(Waiting("not_yet_visible", NOW))
    recent = Waiting("not_yet_visible", NOW - HOUR + 1)
    assert after(verdict, History(3, waiting=recent)) == Wait(recent)
    old = Waiting("not_yet_visible", NOW - HOUR)
    assert after(verdict, History(3, waiting=old)) == GiveUp(4, "not_yet_visible", old)
    for_something_else = Waiting("http_403", NOW - HOUR)
    assert after(verdict, History(waiting=for_something_else)) == Wait(Waiting("not_yet_visible", NOW))


REFUSED = Verdict(Outcome.REFUSED_ON_THE_WAY, "http_403", 403)


def test_refusals_on_the_way_are_counted_with_a_success_of_others_between_them() -> None:
    first = after(REFUSED, History())
    assert first == Wait(Waiting("http_403", NOW, 1))
    counted = Waiting("http_403", NOW - 30, 1)
    assert after(REFUSED, History(waiting=counted), others=NOW - 31) == Wait(counted)
    assert after(REFUSED, History(waiting=counted), others=NOW - 29) == Wait(Waiting("http_403", NOW, 2))
    last = Waiting("http_403", NOW - 30, 2)
    assert after(REFUSED, History(waiting=last), others=NOW - 31) == Wait(last)
    assert after(REFUSED, History(1, waiting=last), others=NOW - 29) == GiveUp(
        2, "refused-on-the-way: http_403", Waiting("http_403", NOW, 3)
    )


def test_without_a_success_of_others_a_refusal_on_the_way_is_never_a_dead_letter() -> None:
    history = History()
    for retries in (0, 1, 3) * 100:
        step = after(REFUSED, history, replace(PATIENCE, retries=retries))
        assert isinstance(step, Wait)
        history = History(waiting=step.waiting)


def test_another_answer_on_the_way_begins_the_count_anew() -> None:
    waiting = Waiting("http_404", NOW - 30, 2)
    assert after(REFUSED, History(waiting=waiting), others=NOW) == Wait(Waiting("http_403", NOW, 1))
