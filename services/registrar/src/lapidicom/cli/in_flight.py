"""So many pieces of work at once, such as publishes whose confirms are awaited; none is cut in the middle."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, Self

P = ParamSpec("P")


class InFlight:
    """A context: what was begun in it is brought to its end, whatever ends the block; no error is lost.

    Args:
        most: pieces of work at once.
    """

    def __init__(self, most: int) -> None:
        self._places = asyncio.Semaphore(most)
        self._tasks: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None

    async def __aenter__(self) -> Self:
        return self

    async def start(
        self, work: Callable[P, Coroutine[Any, Any, None]], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Begin a piece of work as soon as there is a place for it.

        Raises:
            BaseException: the first error of an earlier one; this one is not begun.
        """
        await self._places.acquire()
        if self._error is not None:
            raise self._error
        task = asyncio.create_task(work(*args, **kwargs))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)
        if error is None and self._error is not None:
            raise self._error

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._places.release()
        self._tasks.discard(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        self._error = self._error or error
