"""Counts the failures of a loop that goes on after each of them, so that it does not do so for ever."""

from collections import deque
from typing import Final

MOST: Final = 10
WITHIN: Final = 60.0


class Failures:
    """When a loop failed lately."""

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
