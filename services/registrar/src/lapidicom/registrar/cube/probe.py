"""Asks CUBE whether it is well: before an attempt is spent, and until an outage ends.

The proof is an authenticated read, which touches the database, and a registration without fields, which
CUBE refuses once it has seen that the user may register.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from lapidicom.registrar.cube.availability import (
    OTHER_GENERATION,
    trouble,
    trouble_at_root,
    trouble_registering,
)
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.contract import NO_FIELDS
from lapidicom.registrar.cube.generation import UNITS, Generation

SHARED_SECONDS: Final = 5.0

AskTrouble = Callable[[], Awaitable[str | None]]
"""Why CUBE is not well, after what was just seen; None if it is."""

Ask = Callable[[], Awaitable[str | None]]
"""Finds out what is wrong; None if nothing is."""


class SharedProbe:
    """Asks once for many workers: trouble is shared for 5 s, its absence only with those who failed before.

    A good result that is older than the failure proves nothing: an attempt is spent only if CUBE was
    seen well after it.
    """

    def __init__(
        self, ask: Ask, *, clock: Callable[[], float] = time.monotonic, shared: float = SHARED_SECONDS
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._shared = shared
        self._lock = asyncio.Lock()
        self._began = float("-inf")
        self._ended = float("-inf")
        self._trouble: str | None = None

    async def trouble(self) -> str | None:
        """What is wrong now, after whatever the caller has just seen; None if nothing is."""
        asked = self._clock()
        async with self._lock:
            if self._trouble is None and self._began >= asked:
                return None
            if self._trouble is not None and self._clock() - self._ended < self._shared:
                return self._trouble
            self._began = self._clock()
            self._trouble = await self._ask()
            self._ended = self._clock()
            return self._trouble


async def trouble_of(cube: Cube) -> str | None:
    """Why nobody can register files with this CUBE (up to v5) now; None if it is well."""
    return trouble(await cube.probe()) or trouble_registering(await cube.register(NO_FIELDS))


async def trouble_with_series(cube: Cube) -> str | None:
    """Why nobody can register series with this CUBE (v6) now; None if it is well."""
    return trouble(await cube.probe()) or trouble_registering(await cube.register_series(NO_FIELDS))


async def hindrance(cube: Cube, unit: str) -> tuple[Generation, str | None]:
    """Which generation this CUBE is, and why nothing can be registered there; None if it is well.

    Args:
        cube: on which it is asked.
        unit: REGISTRATION_UNIT.
    """
    found, root = await cube.generation()
    wanted = UNITS.get(unit, found)
    if (fault := trouble_at_root(root)) is None and found is not wanted:
        fault = OTHER_GENERATION.format(found.value, unit, wanted.value)
    ask = trouble_with_series if found is Generation.PER_SERIES else trouble_of
    return found, fault or await ask(cube)
