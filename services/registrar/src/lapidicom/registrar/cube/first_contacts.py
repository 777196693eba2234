"""One at a time where CUBE v6 would fail: registrations that may create the same folders or the same PACS.

Of those that create one PACS, or one patient's or study's folder, at the same time all but one fail with 500.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Turn:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    wanted: int = 0


class FirstContacts:
    """Gives turns to the registrations of one registrar. Another registrar may still be in the way: a 500."""

    def __init__(self) -> None:
        self._turns: dict[str, _Turn] = {}
        self._known: set[str] = set()

    @asynccontextmanager
    async def turn(self, folder: str) -> AsyncIterator[None]:
        """Wait until no other registration may create a folder of this one; a success makes the PACS known.

        Args:
            folder: of the series: SERVICES/PACS/<PACS>/<patient>/<study>/<series>.
        """
        parts = folder.split("/")
        pacs, patient = "/".join(parts[:3]), "/".join(parts[:4])
        async with AsyncExitStack() as stack:
            if pacs not in self._known:
                await stack.enter_async_context(self._one_at_a_time(pacs))
            await stack.enter_async_context(self._one_at_a_time(patient))
            yield

    def succeeded(self, folder: str) -> None:
        """A series of this PACS is registered: the PACS is there."""
        self._known.add("/".join(folder.split("/")[:3]))

    @asynccontextmanager
    async def _one_at_a_time(self, path: str) -> AsyncIterator[None]:
        turn = self._turns.setdefault(path, _Turn())
        turn.wanted += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.wanted -= 1
            if not turn.wanted:
                del self._turns[path]
