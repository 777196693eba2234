"""Decides when a child that gives no sign of life has to be replaced."""

from typing import Final

LONGEST_STEP: Final = 1.5
"""Seconds that count at most between two looks. A supervisor that was itself stopped (SIGSTOP, a
sleeping machine) has seen nothing meanwhile, and its children need a moment to report again."""

START: Final = 120.0
"""Seconds at least until the first report, which comes after imports, the checks of the volume and a new
journal: on a busy machine or a slow file system these take long, and a fresh process would be no faster."""


class Watchdog:
    """Adds up for how long one child has been silent, as far as the supervisor was there to hear it.

    Args:
        timeout: CHRIS_CHILD_TIMEOUT, seconds.
        now: when the child was started, monotonic seconds.
    """

    def __init__(self, timeout: float, now: float) -> None:
        self._timeout = timeout
        self._looked_at = now
        self._heard_at = now
        self.silent = 0.0

    def is_due(self, now: float, *, reported_at: float, has_reported: bool) -> bool:
        """Look at the child, each second; what it has sent must have been read.

        Args:
            now: monotonic seconds.
            reported_at: when its last report came; without one, when it was started.
            has_reported: whether a report came at all.

        Returns:
            Whether it has been silent for too long.
        """
        if reported_at > self._heard_at:
            self._heard_at, self.silent = reported_at, 0.0
        else:
            self.silent += min(now - self._looked_at, LONGEST_STEP)
        self._looked_at = now
        return self.silent >= (self._timeout if has_reported else max(self._timeout, START))
