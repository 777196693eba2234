"""Is CUBE well? Asked before an attempt is spent, and until an outage ends."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.generation import Generation
from lapidicom.registrar.cube.replies import Answer, NoAnswer, Reply

SHARED_SECONDS = 5.0


class Probe:
    """Probes for many workers: a bad result is shared for 5 s, a good one only with those who failed before.

    A good result that is older than the failure proves nothing: an attempt is spent only if CUBE was
    seen well after it.
    """

    def __init__(
        self,
        probe: Callable[[], Awaitable[Reply]],
        *,
        clock: Callable[[], float] = time.monotonic,
        shared: float = SHARED_SECONDS,
    ) -> None:
        self._probe = probe
        self._clock = clock
        self._shared = shared
        self._lock = asyncio.Lock()
        self._began = float("-inf")
        self._ended = float("-inf")
        self._well = True

    async def is_well(self) -> bool:
        """Whether CUBE is well now, after whatever the caller has just seen."""
        asked = self._clock()
        async with self._lock:
            if self._well and self._began >= asked:
                return True
            if not self._well and self._clock() - self._ended < self._shared:
                return False
            self._began = self._clock()
            reply = await self._probe()
            self._ended = self._clock()
            self._well = trouble(reply) is None
            return self._well


def trouble(reply: Reply) -> str | None:
    """Why a reply to the probe shows that CUBE is not well; None if it is. Fit for log and health."""
    match reply:
        case Answer(status=200):
            return None
        case Answer(status=status):
            return f"CUBE answers {status}"
        case NoAnswer(fault=fault, detail=detail):
            return f"CUBE: {fault.value}" + (f" ({detail})" if detail else "")


async def hindrance(cube: Cube) -> str | None:
    """Why nothing can be registered now; None if CUBE is the right one, and well."""
    generation, reply = await cube.generation()
    match generation:
        case Generation.PER_SERIES:
            return (
                "this is CUBE v6 or later, which registers whole series; "
                "REGISTRATION_UNIT=instance is for CUBE up to v5"
            )
        case Generation.UNKNOWN:
            return trouble(reply) or "CHRIS_URL is not the root of CUBE's API (it must end in /api/v1/)"
        case Generation.PER_FILE:
            return trouble(await cube.probe())
