"""Refusals for want of resources (0xA7xx): counted by associations, judged by the listener's health."""

import threading
from dataclasses import dataclass

from lapidicom.receiver.errors import OutOfResources


@dataclass(slots=True)
class RefusalCount:
    """Refusals of one class since they were last taken.

    Attributes:
        number: how many.
        reason: of the latest; empty without one.
    """

    number: int = 0
    reason: str = ""


class Refusals:
    """Those of one listener, since the last `take`. Any thread may add."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._own = RefusalCount()
        self._shared = RefusalCount()

    def add(self, refusal: OutOfResources) -> None:
        """Count a refusal."""
        with self._lock:
            count = self._shared if refusal.is_shared else self._own
            count.number += 1
            count.reason = str(refusal)

    def take(self) -> tuple[RefusalCount, RefusalCount]:
        """Those of this receiver alone, and those that every receiver on the volume meets."""
        with self._lock:
            taken = self._own, self._shared
            self._own, self._shared = RefusalCount(), RefusalCount()
        return taken
