"""One at a time where CUBE v6 would fail: registrations that may create the same folders or the same PACS.

Of those that create one PACS, or one patient's or study's folder, at the same time all but one fail with 500.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from lapidicom.registrar.turns import Turns


class FirstContacts:
    """Gives turns to the registrations of one registrar. Another registrar may still be in the way: a 500."""

    def __init__(self) -> None:
        self._turns = Turns()
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
                await stack.enter_async_context(self._turns.turn(pacs))
            await stack.enter_async_context(self._turns.turn(patient))
            yield

    def succeeded(self, folder: str) -> None:
        """A series of this PACS is registered: the PACS is there."""
        self._known.add("/".join(folder.split("/")[:3]))
