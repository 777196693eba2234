"""Is a failed registration tried again, and when? A value, decided by pure code."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Wait in a delay queue.

    Attributes:
        attempts: spent so far.
        delay: seconds: which delay queue.
    """

    attempts: int
    delay: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """To the dead letters.

    Attributes:
        attempts: spent so far.
    """

    attempts: int


def decide(
    spent: int,
    *,
    retries: int,
    delays: Sequence[int],
    retry_after: float | None,
    delay_for: Callable[[float], int],
) -> TryAgain | GiveUp:
    """Decide after one more attempt has failed.

    Args:
        spent: attempts spent before this one.
        retries: how many retries there are (CHRIS_HTTP_RETRIES).
        delays: seconds before retry 1, 2, ...; the last one repeats.
        retry_after: seconds that CUBE asked to wait.
        delay_for: the delay queue for a wait.
    """
    attempts = spent + 1
    if attempts > retries:
        return GiveUp(attempts)
    delay = delays[min(attempts, len(delays)) - 1]
    if retry_after is not None and retry_after > delay:
        delay = delay_for(retry_after)
    return TryAgain(attempts, delay)
