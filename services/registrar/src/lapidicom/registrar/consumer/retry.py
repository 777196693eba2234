"""What becomes of a message that was not registered? A value, decided by pure code."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lapidicom.registrar.consumer.headers import History, Waiting
from lapidicom.registrar.cube.outcomes import Outcome, Verdict

VISIBLE_SECONDS: Final = 3600.0
"""After which a file that CUBE or we do not see makes its message a dead letter."""

REFUSED_ON_THE_WAY: Final = "refused-on-the-way"

FEWEST_REFUSALS: Final = 2
"""One refusal on the way proves nothing: something else must have come through since."""


@dataclass(frozen=True, slots=True)
class TryAgain:
    """An attempt was spent: wait in a delay queue.

    Attributes:
        attempts: spent so far.
        delay: seconds: which delay queue.
    """

    attempts: int
    delay: int


@dataclass(frozen=True, slots=True)
class WaitBehind:
    """No attempt was spent: wait in a delay queue for others.

    Attributes:
        waiting: why, since when, and how often so far.
        delay: seconds: which delay queue.
    """

    waiting: Waiting
    delay: int


@dataclass(frozen=True, slots=True)
class Wait:
    """No attempt was spent: to be parked.

    Attributes:
        waiting: why, and since when.
    """

    waiting: Waiting


@dataclass(frozen=True, slots=True)
class GiveUp:
    """To the dead letters, if the system is not to blame; else to be parked.

    Attributes:
        attempts: spent so far.
        reason: of the dead letter.
        waiting: why it is parked, and since when.
    """

    attempts: int
    reason: str
    waiting: Waiting


NextStep = TryAgain | WaitBehind | Wait | GiveUp


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a message is tried.

    Attributes:
        retries: of an attempt, and refusals on the way (CHRIS_HTTP_RETRIES).
        delays: seconds before retry 1, 2, ...; the last one repeats.
        delay_for: the delay queue for a wait.
        visible_seconds: after which a file that is not visible is given up.
    """

    retries: int
    delays: Sequence[int]
    delay_for: Callable[[float], int]
    visible_seconds: float = VISIBLE_SECONDS


def next_step(
    verdict: Verdict,
    history: History,
    patience: Patience,
    now: float,
    others_succeeded_since: Callable[[float], bool],
) -> NextStep:
    """Decide what becomes of a message that failed by itself; an outage is decided elsewhere.

    Args:
        verdict: why it failed now.
        history: of the message.
        patience: how long it is tried.
        now: seconds since the epoch.
        others_succeeded_since: whether other messages were registered after that time.
    """
    waiting = waiting_for(verdict, history) or Waiting(verdict.reason, now)
    match verdict.outcome:
        case Outcome.RETRY:
            return _after_attempt(verdict, history, patience, waiting)
        case Outcome.BEHIND_OTHERS:
            waits = waiting.refusals + 1
            delay = patience.delays[min(waits, len(patience.delays)) - 1]
            return WaitBehind(replace(waiting, refusals=waits), delay)
        case Outcome.REFUSED_ON_THE_WAY:
            return _after_refusal(verdict, history, patience, now, others_succeeded_since)
        case Outcome.NOT_YET_VISIBLE if now - waiting.since < patience.visible_seconds:
            return Wait(waiting)
        case Outcome.HELD_UP:
            return Wait(waiting)
        case _:
            return GiveUp(history.attempts + 1, verdict.reason, waiting)


def waiting_for(verdict: Verdict, history: History) -> Waiting | None:
    """What the message is waiting for already, if that is the same."""
    waiting = history.waiting
    return waiting if waiting is not None and waiting.reason == verdict.reason else None


def _after_attempt(verdict: Verdict, history: History, patience: Patience, waiting: Waiting) -> NextStep:
    attempts = history.attempts + 1
    if attempts > patience.retries:
        return GiveUp(attempts, verdict.reason, waiting)
    delay = patience.delays[min(attempts, len(patience.delays)) - 1]
    if verdict.retry_after is not None and verdict.retry_after > delay:
        delay = patience.delay_for(verdict.retry_after)
    return TryAgain(attempts, delay)


def _after_refusal(
    verdict: Verdict,
    history: History,
    patience: Patience,
    now: float,
    others_succeeded_since: Callable[[float], bool],
) -> NextStep:
    """Count a refusal on the way: the first one, and each with a success of others since the last count."""
    waiting = waiting_for(verdict, history)
    if waiting is None:
        waiting = Waiting(verdict.reason, now, refusals=1)
    elif others_succeeded_since(waiting.since):
        waiting = replace(waiting, since=now, refusals=waiting.refusals + 1)
    if waiting.refusals >= max(FEWEST_REFUSALS, patience.retries):
        return GiveUp(history.attempts + 1, f"{REFUSED_ON_THE_WAY}: {verdict.reason}", waiting)
    return Wait(waiting)
