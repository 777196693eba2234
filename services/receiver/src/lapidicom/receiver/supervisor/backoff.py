"""How long to wait before a child that ended is replaced: 0.1 s, doubling up to 10 s."""

from dataclasses import dataclass
from typing import Final, Self

FIRST_DELAY: Final = 0.1
LONGEST_DELAY: Final = 10.0

STEADY_AFTER: Final = 30.0
"""Seconds after which a child counts as having worked: its end starts the series of delays anew."""


@dataclass(frozen=True)
class Backoff:
    """The delays of one child's replacements.

    Attributes:
        delay: seconds until the replacement that is due now; 0 before the first start.
    """

    delay: float = 0.0

    def after(self, lived: float) -> Self:
        """The back-off after a child that lived so many seconds."""
        if self.delay == 0.0 or lived >= STEADY_AFTER:
            return type(self)(FIRST_DELAY)
        return type(self)(min(self.delay * 2, LONGEST_DELAY))
