"""Runs what may block for ever, such as a look at a network file system, in threads that nobody waits for.

A thread of asyncio's own pool keeps the process from ending, and a few that hang keep all others waiting.
"""

import asyncio
import contextlib
import errno
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class DaemonThreads:
    """A few threads at most; one that hangs is left to itself, and counts until it comes back.

    Args:
        most: threads at one time.
        seconds: after which a call is given up.
    """

    def __init__(self, most: int = 4, seconds: float = 10.0) -> None:
        self._free = asyncio.Semaphore(most)
        self._most = most
        self._seconds = seconds
        self._hanging = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Run a function; what it raises is raised here.

        Raises:
            TimeoutError: it has not ended in time, or so many hang already that it was not begun.
        """
        if self._hanging == self._most:
            raise TimeoutError(errno.ETIMEDOUT, "earlier calls still hang")
        async with asyncio.timeout(self._seconds):
            await self._free.acquire()
            done = self._start(work)
            try:
                return await asyncio.shield(done)
            except asyncio.CancelledError:
                if not done.done():
                    self._hanging += 1
                    done.add_done_callback(self._came_back)
                raise

    def _start(self, work: Callable[[], T]) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def end(settle: Callable[[], None]) -> None:
            self._free.release()
            settle()

        def run() -> None:
            try:
                value = work()
            except BaseException as error:  # noqa: BLE001 (raised again where the result is awaited)
                settle = _failing(done, error)
            else:
                settle = _returning(done, value)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(end, settle)

        threading.Thread(target=run, daemon=True, name="may-block").start()
        return done

    def _came_back(self, done: asyncio.Future[T]) -> None:
        self._hanging -= 1
        done.exception()  # of no interest any more


def _returning(done: asyncio.Future[T], value: T) -> Callable[[], None]:
    return lambda: done.set_result(value)


def _failing(done: asyncio.Future[T], error: BaseException) -> Callable[[], None]:
    return lambda: done.set_exception(error)
