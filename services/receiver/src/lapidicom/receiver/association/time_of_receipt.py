"""The time at which an instance was received, as records tell it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime


class TimeOfReceipt:
    """Tells the time in UTC to the millisecond, ISO 8601. What stands before these is made once a second.

    Args:
        clock: nanoseconds since 1970.
    """

    __slots__ = ("_before", "_clock", "_second")

    def __init__(self, clock: Callable[[], int] = time.time_ns) -> None:
        self._clock = clock
        self._second = -1
        self._before = b""

    def now(self) -> bytes:
        """The present time, such as 2024-01-31T10:11:12.345+00:00."""
        second, millisecond = divmod(self._clock() // 1_000_000, 1000)
        if second != self._second:
            self._second = second
            self._before = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode("ascii")
        return b"%b.%03d+00:00" % (self._before, millisecond)
