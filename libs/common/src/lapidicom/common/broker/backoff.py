"""Growing, jittered pauses: a flapping network must not turn into a storm of connections."""

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Pauses that double from `first` up to `longest`, each drawn from its upper half.

    Args:
        first: seconds.
        longest: seconds.
    """

    first: float = 1.0
    longest: float = 30.0
    _step: int = field(default=0, init=False)

    def next(self) -> float:
        """Seconds to wait now; the following pause is longer."""
        full = min(self.longest, self.first * 2.0 ** min(self._step, 30))
        self._step += 1
        return full * (0.5 + random.random() / 2)  # noqa: S311 (jitter, not a secret)

    def reset(self) -> None:
        """Something worked: begin with short pauses again."""
        self._step = 0
