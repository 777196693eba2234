"""What loops that run for ever need: whether they fail too often, and how much time they have seen."""

from collections import deque
from typing import Final

MOST: Final = 10
WITHIN: Final = 60.0

LONGEST_STEP: Final = 1.5
"""Seconds that count at most between two looks, which come each second."""


class RecentFailures:
    """When a loop failed lately, which goes on after each failure, but not for ever."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=MOST)

    def add(self, now: float) -> bool:
        """Note a failure.

        Args:
            now: monotonic seconds.

        Returns:
            Whether the loop fails again and again: the last MOST failures came within WITHIN seconds.
        """
        self._times.append(now)
        return len(self._times) == MOST and now - self._times[0] <= WITHIN


class RunningTime:
    """Seconds in which this process ran: a loop looks at the clock each second.

    While the process was stopped (SIGSTOP, a frozen container, a sleeping machine) it has seen nothing of
    what it watches, and that needs a moment to go on, too.

    Args:
        now: monotonic seconds.
    """

    def __init__(self, now: float) -> None:
        self._looked_at = now
        self._seconds = 0.0

    def look(self, now: float) -> float:
        """Look at the clock.

        Args:
            now: monotonic seconds.

        Returns:
            Seconds since the beginning, of those between two looks at most LONGEST_STEP.
        """
        self._seconds += min(now - self._looked_at, LONGEST_STEP)
        self._looked_at = now
        return self._seconds
