"""Runs what may block for ever, such as a look at a network file system, for as long as it shows life."""

import asyncio
import errno
import time
from collections.abc import Callable
from math import inf
from typing import Final, TypeVar

from lapidicom.common.may_block import DaemonThreads

T = TypeVar("T")

VOLUME_SECONDS: Final = 30.0
"""For one step on the volume: a listing of a large folder, or some blocks of a journal."""


class Pulse:
    """The last sign of life of a long piece of work, which tells it by calling `beat`."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def beat(self, *_: object) -> None:
        """Say that the work goes on."""
        self.last = time.monotonic()


async def in_thread(function: Callable[[], T], seconds: float, pulse: Pulse | None = None) -> T:
    """Run a function; after `seconds` in all, or since the last beat of its pulse, it is left to itself.

    Raises:
        TimeoutError: it has not ended. What it raises itself is raised, too.
    """
    pulse = pulse or Pulse()
    pulse.beat()
    done = asyncio.ensure_future(DaemonThreads(most=1, seconds=inf).run(function))
    try:
        while not done.done():
            left = pulse.last + seconds - time.monotonic()
            if left <= 0:
                raise TimeoutError(errno.ETIMEDOUT, f"no answer within {seconds:g} s")
            await asyncio.wait({done}, timeout=left)
        return done.result()
    finally:
        done.cancel()


async def of_volume(function: Callable[[], T], pulse: Pulse | None = None, seconds: float = inf) -> T:
    """Read the volume; VOLUME_SECONDS is the limit where no lower one is given.

    Raises:
        OSError: as the function raises it, or that the volume does not answer.
    """
    limit = min(seconds, VOLUME_SECONDS)
    try:
        return await in_thread(function, limit, pulse)
    except TimeoutError as error:
        raise TimeoutError(error.errno, f"the volume does not answer within {limit:g} s") from None
